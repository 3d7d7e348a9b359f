import type { Layout } from "./layout.ts";

export interface Totals {
  readonly running: number;
  readonly started: number;
  readonly finished: number;
}

/**
 * Sums the threads' own books. Main thread only. What a dead thread had counted moves into `departed`,
 * with whatever it left running counted as finished: it has ended, though not by itself.
 */
export class Tracker {
  readonly #layout: Layout;
  #departed = 0;

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  totals(): Totals {
    let running = 0;
    let started = this.#departed;
    let finished = this.#departed;
    for (const row of this.#layout.claimedRows()) {
      const counts = this.#layout.readRow(row);
      running += counts.running;
      started += counts.started;
      finished += counts.finished;
    }
    return { running, started, finished };
  }

  /** After the `exit` event of the row's thread, never before: until then it may still write. */
  settle(row: number): void {
    this.#departed += this.#layout.settleRow(row);
  }
}
