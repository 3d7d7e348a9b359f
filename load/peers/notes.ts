import { setTimeout as pause } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { eventually } from "../../test/support/eventually.ts";
import type { Peer, Pool, Run } from "./pools.ts";

const CELLS = 16_384;
/** Of a cell, in the order of `threads/work.mjs`: when its task started, last did something, and ended. 0: not yet. */
const [STARTED, ACTED, ENDED, WORDS] = [0, 1, 2, 3];
// Longer than a thread that lives leaves out its notes, which come each millisecond, while others have the processors.
const SILENT_MS = 40;

/** What tasks note of themselves in memory that all threads share, on the clock of `monotonicMs`. */
export class Notes {
  readonly shared = new SharedArrayBuffer(CELLS * WORDS * Float64Array.BYTES_PER_ELEMENT);
  readonly #times = new Float64Array(this.shared);
  #last = 0;

  /** A cell for one task, unused for the last sixteen thousand tasks. The first one is nobody's: for tasks of which no notes are read. */
  take(): number {
    this.#last = (this.#last % (CELLS - 1)) + 1;
    this.#times.fill(0, this.#last * WORDS, (this.#last + 1) * WORDS);
    return this.#last;
  }

  startedAt(cell: number): number {
    return this.#times[cell * WORDS + STARTED] as number;
  }

  /** Whether it came to its end by itself: returned or threw, rather than died with its thread. */
  hasEnded(cell: number): boolean {
    return this.endedAt(cell) !== 0;
  }

  endedAt(cell: number): number {
    return this.#times[cell * WORDS + ENDED] as number;
  }

  /** Resolves when the task has started; or has settled, if it never starts. */
  async started(cell: number, { settled }: Run): Promise<void> {
    let over = false;
    void settled.then(() => {
      over = true;
    });
    await eventually("a task starts", () => over || this.startedAt(cell) !== 0);
  }

  /** When the task did something for the last time. Resolves once it surely does nothing more. */
  async lastAct(cell: number): Promise<number> {
    const at = cell * WORDS + ACTED;
    let seen = -1;
    let sinceMs = 0;
    await eventually("a task stops", () => {
      if (this.hasEnded(cell)) return true;
      const acted = this.#times[at] as number;
      if (acted !== seen) sinceMs = performance.now();
      seen = acted;
      return performance.now() - sinceMs > SILENT_MS;
    });
    return this.#times[at] as number;
  }
}

const STARTS_MS = 20;
// A thread that is being terminated while nothing else happens has ended by then.
const ENDING_MS = 100;

export interface Opened extends AsyncDisposable {
  readonly pool: Pool;
  readonly notes: Notes;
  /** How many threads have ended since: to be called when nothing runs any more. */
  threadsLost(): Promise<number>;
}

/** The peer's threads, each of which has run a task: their start is not held against it. */
export async function opened(peer: Peer, threads: number): Promise<Opened> {
  const notes = new Notes();
  let ended = 0;
  const watch = (worker: Worker): void => void worker.once("exit", () => ended++);
  process.on("worker", watch);
  const pool = await peer.open(threads, notes.shared);
  for (const alone of [false, true]) {
    const runs = Array.from({ length: threads }, () => pool.run({ kind: "wait", ms: STARTS_MS, cell: 0 }, { alone }));
    await Promise.all(runs.map(({ settled }) => settled));
  }
  return {
    pool,
    notes,
    async threadsLost() {
      await pause(ENDING_MS);
      return ended;
    },
    async [Symbol.asyncDispose]() {
      process.off("worker", watch);
      await pool[Symbol.asyncDispose]();
    },
  };
}
