import type { DatabaseSync, StatementSync } from "node:sqlite";

// Larger than what a nearly full disk still has room for in pages that are free within the file.
const PROBE_BYTES = 65_536;

/** Writes that mean nothing, to see whether the disk takes any. */
export class Probes {
  readonly #fill: StatementSync;
  readonly #clear: StatementSync;
  // At first because a crash, or the death of the thread, may have come between the two.
  #filled = true;
  #fillsAgain = false;

  constructor(db: DatabaseSync) {
    // What a crash between the two has left must not make the next one a write of nothing.
    this.#fill = db.prepare(`INSERT OR REPLACE INTO probes (id, filler) VALUES (1, zeroblob(${PROBE_BYTES}))`);
    this.#clear = db.prepare("DELETE FROM probes");
  }

  fill(): void {
    this.#fill.run();
    this.#fillsAgain = true;
  }

  clear(): void {
    this.#clear.run();
  }

  /** At the beginning of each transaction: takes back what the last probe has filled, for its own `clear` may come too late. */
  makeRoom(): void {
    this.#fillsAgain = false;
    if (this.#filled) this.#clear.run();
  }

  /** After each commit. Until one, what was filled is there. */
  committed(): void {
    this.#filled = this.#fillsAgain;
  }
}
