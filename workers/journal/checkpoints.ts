import type { DatabaseSync, StatementSync } from "node:sqlite";
import { leavesDiskInDoubt } from "./sqlite-trouble.ts";
import { rows } from "./tables/rows.ts";

// Pages of the log: 32 MB, which a start reads in about 0.1 s. A page that changes often between two checkpoints is copied once.
const AFTER_PAGES = 8_000;
// A guess until the first checkpoint returns the real length of the log.
const PAGES_A_CHANGE = 1.5;
// An order alone in its commit.
const MOST_PAGES_A_CHANGE = 8;

/**
 * Copies the log into the database now and then: SQLite's own checkpoints hide a failing disk, and a later `fsync` proves nothing of
 * earlier pages.
 */
export class Checkpoints {
  readonly #checkpoint: StatementSync;
  #pagesAChange = PAGES_A_CHANGE;
  #changes = 0;
  /** Whether the log was empty before these changes. */
  #isWhole = true;

  constructor(db: DatabaseSync) {
    this.#checkpoint = rows(db, "PRAGMA wal_checkpoint(PASSIVE)");
  }

  /**
   * `changes`: rows that the commit wrote. Throws an error that leaves the disk in doubt. A reader in the way and a full disk are no
   * errors: commits are safe in the log, and a later checkpoint copies the rest.
   */
  afterCommit(changes: number): void {
    this.#changes += changes;
    if (this.#changes * this.#pagesAChange < AFTER_PAGES) return;
    try {
      const [, logPages, donePages] = this.#checkpoint.get() as unknown as [busy: number, logPages: number, donePages: number];
      // After a complete checkpoint the next commit restarts the log, so its next length is that of the next changes alone.
      if (this.#isWhole) this.#pagesAChange = Math.min(MOST_PAGES_A_CHANGE, logPages / this.#changes);
      this.#isWhole = logPages === donePages;
    } catch (error) {
      if (leavesDiskInDoubt(error)) throw error;
    } finally {
      this.#changes = 0;
    }
  }
}
