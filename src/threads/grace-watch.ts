import { type Clock, monotonicMs, SYSTEM_CLOCK } from "./clock.ts";
import type { DispatchedTask } from "./dispatched-task.ts";

interface Watched {
  sinceMs: number;
  tasks: readonly DispatchedTask[];
  extensions: number;
}

// A timer later than this part of the grace: the process itself was stalled, so its threads get the grace again.
const LATE_SHARE = 0.5;
const MAX_EXTENSIONS = 7;

/** Time as the watches see it, monotonic: tests put in their own. */
export interface WatchClock extends Clock {
  /** Calls back when everything that has arrived meanwhile has been read: timers run before messages. */
  onceRead(callback: () => void): void;
}

export const WATCH_CLOCK: WatchClock = {
  ...SYSTEM_CLOCK,
  nowMs: monotonicMs,
  onceRead: (callback) => void setImmediate(() => setImmediate(callback)),
};

/** Gives up tasks that have not stopped `graceMs` after their cancel: whoever waits goes on. `ProgressWatch` decides on their threads. */
export class GraceWatch {
  readonly #graceMs: number;
  readonly #giveUp: (task: DispatchedTask) => void;
  readonly #clock: WatchClock;
  // In order of time: the grace is the same for all, and a Set keeps the order of insertion.
  readonly #watched = new Set<Watched>();
  #stopTimer: (() => void) | undefined;

  constructor(graceMs: number, giveUp: (task: DispatchedTask) => void, clock = WATCH_CLOCK) {
    this.#graceMs = graceMs;
    this.#giveUp = giveUp;
    this.#clock = clock;
  }

  /** How many canceled groups are being watched: the leak tests demand zero. */
  get size(): number {
    return this.#watched.size;
  }

  /** Watches the tasks of a group that has just been canceled. Returns a function that ends the watch, for when all have settled. */
  watch(tasks: readonly DispatchedTask[]): () => void {
    const watched: Watched = { sinceMs: this.#clock.nowMs(), tasks, extensions: 0 };
    this.#watched.add(watched);
    this.#stopTimer ??= this.#clock.after(this.#graceMs, () => this.#due());
    return () => {
      this.#watched.delete(watched);
      if (this.#watched.size === 0) this.#stop();
    };
  }

  close(): void {
    this.#watched.clear();
    this.#stop();
  }

  #stop(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #due(): void {
    const firedMs = this.#clock.nowMs();
    // If this thread stalled, outcomes that came in time may still be unread.
    this.#clock.onceRead(() => this.#judge(firedMs));
  }

  #judge(firedMs: number): void {
    // A watch that began after the timer fired may have set another timer.
    this.#stop();
    for (const watched of this.#watched) {
      const lateMs = firedMs - watched.sinceMs - this.#graceMs;
      if (lateMs < 0) break;
      this.#watched.delete(watched);
      const unsettled = watched.tasks.filter(({ settled, thread }) => !settled && thread !== undefined);
      if (unsettled.length === 0) continue;
      if (lateMs > LATE_SHARE * this.#graceMs && watched.extensions < MAX_EXTENSIONS) {
        // The same entry, which the group takes away when all have settled; at the end again, for its grace begins now.
        watched.sinceMs = this.#clock.nowMs();
        watched.tasks = unsettled;
        watched.extensions++;
        this.#watched.add(watched);
      } else {
        for (const task of unsettled) this.#giveUp(task);
      }
    }
    const [next] = this.#watched;
    if (next !== undefined) {
      this.#stopTimer = this.#clock.after(Math.max(1, next.sinceMs + this.#graceMs - this.#clock.nowMs()), () => this.#due());
    }
  }
}
