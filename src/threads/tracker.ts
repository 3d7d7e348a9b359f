import type { Layout, RowCounts } from "./layout.ts";

export interface Totals {
  readonly running: number;
  readonly started: number;
  readonly finished: number;
}

/**
 * Sums the threads' own books. Main thread only. What a dead thread had counted moves into `departed`,
 * with whatever it left running counted as finished: it has ended, though not by itself.
 *
 * A word of shared memory counts to 2^32 and begins anew; what it has lost is added here, exact up to 2^53. For that each row must be
 * read once in 2^32 steps, three days of a thread that does nothing else: see `HeartbeatWatch`.
 */
export class Tracker {
  readonly #layout: Layout;
  /** By row, as last read. */
  readonly #known: { started: number; finished: number }[];
  #departed = 0;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#known = Array.from({ length: layout.handle.rows }, () => ({ started: 0, finished: 0 }));
  }

  totals(): Totals {
    let running = 0;
    let started = this.#departed;
    let finished = this.#departed;
    for (const row of this.#layout.claimedRows()) {
      const counts = this.read(row);
      running += counts.running;
      started += counts.started;
      finished += counts.finished;
    }
    return { running, started, finished };
  }

  /** The books of one thread. */
  read(row: number): RowCounts {
    const counts = this.#layout.readRow(row);
    const known = this.#known[row] as { started: number; finished: number };
    known.started = unwrapped(known.started, counts.started);
    known.finished = unwrapped(known.finished, counts.finished);
    return { ...counts, ...known };
  }

  /** After the `exit` event of the row's thread, never before: until then it may still write. */
  settle(row: number): void {
    this.#departed += this.read(row).started;
    this.#layout.settleRow(row);
    this.#known[row] = { started: 0, finished: 0 };
  }
}

/** The first number from `known` on whose low 32 bits are those of `word`. */
function unwrapped(known: number, word: number): number {
  return known + ((word - (known | 0)) >>> 0);
}
