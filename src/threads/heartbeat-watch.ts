import { LOOK_EVERY_MS, START_TIMEOUT_MS, STUCK_LOOKS } from "./heartbeat-timings.ts";
import type { PoolThread } from "./pool-thread.ts";
import type { ThreadPool } from "./thread-pool.ts";
import type { Tracker } from "./tracker.ts";

/** Replaces threads that have stopped answering, or that never came to it. Main thread only. */
export class HeartbeatWatch {
  readonly #tracker: Tracker;
  readonly #pools: readonly Pick<ThreadPool, "allThreads">[];
  readonly #startLooks: number;
  readonly #timer: NodeJS.Timeout;
  /** Of each thread its last beat (undefined while it loads), and for how many looks that has been so. */
  #seen = new Map<PoolThread, { readonly beat: number | undefined; readonly looks: number }>();

  constructor(tracker: Tracker, pools: readonly Pick<ThreadPool, "allThreads">[], startTimeoutMs = START_TIMEOUT_MS) {
    this.#tracker = tracker;
    this.#pools = pools;
    this.#startLooks = Math.ceil(startTimeoutMs / LOOK_EVERY_MS);
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    // Often enough for the tracker to notice every wrap of its words.
    this.#tracker.totals();
    const seen = new Map<PoolThread, { readonly beat: number | undefined; readonly looks: number }>();
    for (const pool of this.#pools) {
      for (const thread of pool.allThreads) {
        if (thread.standsStill) continue;
        const beat = thread.row === undefined ? undefined : this.#tracker.lastBeat(thread.row);
        const before = this.#seen.get(thread);
        const looks = before !== undefined && before.beat === beat ? before.looks + 1 : 0;
        if (looks >= (beat === undefined ? this.#startLooks : STUCK_LOOKS)) thread.kill("heartbeat");
        else seen.set(thread, { beat, looks });
      }
    }
    this.#seen = seen;
  }
}
