import type { DatabaseSync } from "node:sqlite";
import { changeOf } from "./rows.ts";

// Larger than what a nearly full disk still has room for in pages that are free within the file.
const PROBE_BYTES = 65_536;

/** Writes that mean nothing, to see whether the disk takes any. */
export function probes(db: DatabaseSync): { readonly fill: () => number; readonly clear: () => number } {
  return {
    // What a crash between the two has left must not make the next one a write of nothing.
    fill: changeOf(db, `INSERT OR REPLACE INTO probes (id, filler) VALUES (1, zeroblob(${PROBE_BYTES}))`),
    clear: changeOf(db, "DELETE FROM probes"),
  };
}
