import type { DatabaseSync, StatementSync } from "node:sqlite";
import { leavesDiskInDoubt } from "./sqlite-trouble.ts";
import { rows } from "./tables/rows.ts";

// In pages of the log. A page that is written many times between two checkpoints goes to the database file once. Reading a log
// of this length (32 MB) at start takes about 0.1 s.
const AFTER_PAGES = 8_000;
// Of a commit, until the first checkpoint has said how long the log really was: its rows, and the pages of the indexes they are in.
const PAGES_A_CHANGE = 1.5;
// An order alone in its commit.
const MOST_PAGES_A_CHANGE = 8;

/**
 * Brings the log into the database file now and then. SQLite would do it by itself but keep quiet about a disk that fails
 * meanwhile, and after a failed `fsync` a later one that works says nothing of the pages before it.
 */
export class Checkpoints {
  readonly #checkpoint: StatementSync;
  #pagesAChange = PAGES_A_CHANGE;
  #changes = 0;
  #movedPages = 0;
  /** Whether the log was empty when the changes began. */
  #isWhole = true;

  constructor(db: DatabaseSync) {
    this.#checkpoint = rows(db, "PRAGMA wal_checkpoint(PASSIVE)");
  }

  /**
   * `changes`: rows; `movedPages`: those that were moved to make the file shorter, which it is after the checkpoint.
   *
   * Throws what leaves the disk in doubt. Readers that are in the way make it less of a checkpoint, which is no error; nor is a full
   * disk: what was committed is safe in the log, and the next checkpoint begins again.
   */
  afterCommit(changes: number, movedPages: number): void {
    this.#changes += changes;
    this.#movedPages += movedPages;
    if (this.#changes * this.#pagesAChange + this.#movedPages < AFTER_PAGES) return;
    try {
      const [, logPages, donePages] = this.#checkpoint.get() as unknown as [busy: number, logPages: number, donePages: number];
      // Where all of it was done the log begins anew with the next commit, and the next length is of these changes alone.
      if (this.#isWhole && this.#movedPages === 0) this.#pagesAChange = Math.min(MOST_PAGES_A_CHANGE, logPages / this.#changes);
      this.#isWhole = logPages === donePages;
    } catch (error) {
      if (leavesDiskInDoubt(error)) throw error;
    } finally {
      this.#changes = 0;
      this.#movedPages = 0;
    }
  }
}
