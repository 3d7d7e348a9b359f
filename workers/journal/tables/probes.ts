import type { DatabaseSync, StatementSync } from "node:sqlite";

// Larger than what a nearly full disk still has room for in pages that are free within the file.
const PROBE_BYTES = 65_536;

/** Writes that mean nothing, to see whether the disk takes any. */
export class Probes {
  readonly #fill: StatementSync;
  readonly #clear: StatementSync;

  constructor(db: DatabaseSync) {
    // What a crash between the two has left must not make the next one a write of nothing.
    this.#fill = db.prepare(`INSERT OR REPLACE INTO probes (id, filler) VALUES (1, zeroblob(${PROBE_BYTES}))`);
    this.#clear = db.prepare("DELETE FROM probes");
  }

  fill(): void {
    this.#fill.run();
  }

  clear(): void {
    this.#clear.run();
  }
}
