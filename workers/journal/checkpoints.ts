import type { DatabaseSync, StatementSync } from "node:sqlite";
import { leavesDiskInDoubt } from "./sqlite-trouble.ts";
import { rows } from "./tables/rows.ts";

// In pages of the log. A page that is written many times between two checkpoints goes to the database file once. Reading a log
// of this length (32 MB) at start takes about 0.1 s.
const AFTER_PAGES = 8_000;
// What a commit writes besides the rows themselves: the pages of the indexes it touches. A guess; the log's true length costs a
// checkpoint to ask for.
const PAGES_A_COMMIT = 6;

/**
 * Brings the log into the database file now and then. SQLite would do it by itself but keep quiet about a disk that fails
 * meanwhile, and after a failed `fsync` a later one that works says nothing of the pages before it.
 */
export class Checkpoints {
  readonly #checkpoint: StatementSync;
  #pages = 0;

  constructor(db: DatabaseSync) {
    this.#checkpoint = rows(db, "PRAGMA wal_checkpoint(PASSIVE)");
  }

  /**
   * Throws what leaves the disk in doubt. Readers that are in the way make it less of a checkpoint, which is no error; nor is a full
   * disk: what was committed is safe in the log, and the next checkpoint begins again.
   */
  afterCommit(changes: number): void {
    this.#pages += PAGES_A_COMMIT + changes;
    if (this.#pages < AFTER_PAGES) return;
    this.#pages = 0;
    try {
      this.#checkpoint.get();
    } catch (error) {
      if (leavesDiskInDoubt(error)) throw error;
    }
  }
}
