import type { DatabaseSync, StatementSync } from "node:sqlite";

// Larger than what a nearly full disk still has room for in pages that are free within the file.
const PROBE_BYTES = 65_536;

/** Writes that mean nothing, to see whether the disk takes any. */
export class Probes {
  readonly #fill: StatementSync;
  readonly #clear: StatementSync;
  #filled = false;

  constructor(db: DatabaseSync) {
    // What a crash between the two has left must not make the next one a write of nothing.
    this.#fill = db.prepare(`INSERT OR REPLACE INTO probes (id, filler) VALUES (1, zeroblob(${PROBE_BYTES}))`);
    this.#clear = db.prepare("DELETE FROM probes");
  }

  fill(): void {
    this.#fill.run();
    this.#filled = true;
  }

  clear(): void {
    this.#clear.run();
    this.#filled = false;
  }

  /** Takes back what the last probe has filled, for a transaction that comes before its `clear`: that may need the room. */
  makeRoom(): void {
    if (this.#filled) this.#clear.run();
  }
}
