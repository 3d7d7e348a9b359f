import type { DatabaseSync, StatementSync } from "node:sqlite";
import { rows } from "./rows.ts";

/** Pages of the file that hold nothing any more. */
export class FreePages {
  readonly #db: DatabaseSync;
  readonly #count: StatementSync;
  #moved = 0;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#count = rows(db, "PRAGMA freelist_count");
  }

  /**
   * Makes the file shorter by up to so many pages, with the next checkpoint. Returns how many more it could be; 0 for a journal
   * that cannot.
   */
  giveBack(pages: number): number {
    const before = this.#left();
    this.#db.exec(`PRAGMA incremental_vacuum(${pages})`);
    const left = this.#left();
    this.#moved += Math.max(0, before - left);
    return left < before ? left : 0;
  }

  /** Pages given back so far. They are written as rows are, but SQLite does not count them as changes. */
  get moved(): number {
    return this.#moved;
  }

  #left(): number {
    return (this.#count.get() as unknown as [number])[0];
  }
}
