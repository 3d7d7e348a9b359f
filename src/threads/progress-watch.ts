import { WATCH_CLOCK, type WatchClock } from "./grace-watch.ts";
import type { PoolThread } from "./pool-thread.ts";
import type { PoolThreads } from "./pool-threads.ts";
import type { Tracker } from "./tracker.ts";

// Bounds are in looks, not ages: after the whole process was stopped every beat is old, and no thread is stuck.
const LOOK_EVERY_MS = 250;
// A beat is due every 100 ms.
const STILL_LOOKS = 2;
// One second: longer than a pause of the collector, or than a thread waits for a processor on a busy machine.
const GRACE_LOOKS = 4;
// Two seconds, twenty beats: tasks that compute for so long in one piece belong on the exclusive pool.
const STUCK_LOOKS = 8;

// A minute, a guess: a value of a million objects takes a second to copy, on a busy machine ten.
const POSTING_LOOKS = 240;

export type WatchedPool = Pick<PoolThreads, "all" | "name" | "maxGivenUp" | "setAside">;

interface Seen {
  readonly sign: string | undefined;
  /** For how many looks in a row nothing has moved. */
  readonly still: number;
  /** The same, since a task was given up. */
  readonly gaveUp: number;
  /** The same, since so many were given up that the thread is to be set aside. */
  readonly crowded: number;
}

/** Replaces threads on which nothing moves. An exclusive thread's task may compute for as long as nobody cancels it. */
export class ProgressWatch {
  readonly #tracker: Tracker;
  readonly #pools: readonly WatchedPool[];
  readonly #startLooks: number;
  readonly #clock: WatchClock;
  #stopTimer: () => void;
  #seen = new Map<PoolThread, Seen>();

  constructor(tracker: Tracker, pools: readonly WatchedPool[], startTimeoutMs: number, clock = WATCH_CLOCK) {
    this.#tracker = tracker;
    this.#pools = pools;
    this.#startLooks = Math.ceil(startTimeoutMs / LOOK_EVERY_MS);
    this.#clock = clock;
    this.#stopTimer = this.#next();
  }

  close(): void {
    this.#stopTimer();
  }

  #next(): () => void {
    return this.#clock.after(LOOK_EVERY_MS, () => {
      this.#stopTimer = this.#next();
      this.look();
    });
  }

  look(): void {
    // Often enough for the tracker to notice every wrap of its words.
    this.#tracker.totals();
    const seen = new Map<PoolThread, Seen>();
    for (const pool of this.#pools) {
      for (const thread of pool.all()) {
        if (thread.killed) continue;
        const sign = thread.row === undefined ? undefined : this.#tracker.signOfLife(thread.row);
        const before = this.#seen.get(thread);
        const still = before !== undefined && before.sign === sign ? before.still + 1 : 0;
        const gaveUp = thread.givenUp === 0 ? 0 : (before?.gaveUp ?? 0) + 1;
        const crowded = thread.givenUp < pool.maxGivenUp ? 0 : (before?.crowded ?? 0) + 1;
        const now = { sign, still, gaveUp, crowded };
        thread.isStill = still >= STILL_LOOKS;
        seen.set(thread, now);
        if (sign === undefined) {
          if (still >= this.#startLooks) thread.kill("heartbeat");
        } else this.#judge(pool, thread, now);
      }
    }
    this.#seen = seen;
  }

  #judge(pool: WatchedPool, thread: PoolThread, { still, gaveUp, crowded }: Seen): void {
    if (gaveUp > GRACE_LOOKS && (still >= GRACE_LOOKS || pool.name === "exclusive")) thread.kill("grace");
    else if (still >= STUCK_LOOKS && (pool.name === "shared" || this.#isStuckAlone(thread, still))) thread.kill("heartbeat");
    // Not sooner: tasks of a burst that had not begun are given up too, and a thread that is well answers for them within a second.
    else if (crowded > GRACE_LOOKS) pool.setAside(thread);
  }
  /** What holds up an exclusive thread that runs no task was left behind by one, or is the copy of a large value on its way out. */
  #isStuckAlone(thread: PoolThread, still: number): boolean {
    const row = thread.row as number;
    if (this.#tracker.read(row).running > 0) return false;
    const isPosting = thread.inFlight > 0 && this.#tracker.hasReceived(row, thread.sent);
    return !isPosting || still >= POSTING_LOOKS;
  }
}
