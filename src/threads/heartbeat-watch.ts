import type { PiscinaThreads } from "./piscina-threads.ts";
import type { PoolThread } from "./pool-thread.ts";
import type { Tracker } from "./tracker.ts";

const LOOK_EVERY_MS = 500;
// Two seconds, twenty beats. In looks, not by the age of a beat: after the whole process was stopped (a laptop's sleep, SIGSTOP) every
// beat is old, and no thread is stuck.
const STUCK_LOOKS = 4;
// A worker file loads in some tenths of a second, but on a machine starved of processor time it takes far longer.
const START_TIMEOUT_MS = 30_000;

/** By thread: its last beat (undefined while it loads), and for how many looks it has stayed the same. */
type Seen = Map<PoolThread, { readonly beat: number | undefined; readonly looks: number }>;

/** Replaces threads that have stopped answering, or that never started to. Main thread only. */
export class HeartbeatWatch {
  readonly #tracker: Tracker;
  readonly #pools: readonly Pick<PiscinaThreads, "all">[];
  readonly #startLooks: number;
  readonly #timer: NodeJS.Timeout;
  #seen: Seen = new Map();

  constructor(tracker: Tracker, pools: readonly Pick<PiscinaThreads, "all">[], startTimeoutMs = START_TIMEOUT_MS) {
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
    const seen: Seen = new Map();
    for (const thread of this.#pools.flatMap((pool) => [...pool.all()])) {
      if (thread.standsStill) continue;
      const beat = thread.row === undefined ? undefined : this.#tracker.lastBeat(thread.row);
      const before = this.#seen.get(thread);
      const looks = before !== undefined && before.beat === beat ? before.looks + 1 : 0;
      if (looks >= (beat === undefined ? this.#startLooks : STUCK_LOOKS)) thread.kill("heartbeat");
      else seen.set(thread, { beat, looks });
    }
    this.#seen = seen;
  }
}
