import type { CancelBoard } from "./cancel-board.ts";
import type { DispatchedStep } from "./dispatched-step.ts";
import type { PoolThread } from "./pool-thread.ts";
import { ALIVE_MS, type Tracker } from "./tracker.ts";

interface Watched {
  /** When its present grace began. */
  sinceMs: number;
  steps: readonly DispatchedStep[];
  extensions: number;
  /** The log's head when it was canceled. */
  readonly head: number;
}

export interface WatchdogOptions {
  readonly graceMs: number;
  readonly board: CancelBoard;
  readonly tracker: Tracker;
  /** Called for a step that ignores its cancel on a thread that responds. */
  readonly giveUp: (step: DispatchedStep) => void;
}

// How often a thread that beats, but has not acted on its bell yet, gets the grace again: it is overloaded, not stuck.
const MAX_EXTENSIONS = 7;
// If the timer fires later than this part of the grace, the process itself was stalled, so its threads get the grace again. The turns of
// a busy event loop are far shorter, and say nothing about the threads.
const LATE_SHARE = 0.5;

/**
 * Ends steps by force that have not stopped `graceMs` after their cancel. A step on a thread that has acknowledged the cancel and still
 * beats is given up; any other thread is killed. One queue and one timer for all orders. Main thread only.
 */
export class CancellationWatchdog {
  readonly #options: WatchdogOptions;
  // In order of time: the grace is the same for all, and a Set keeps the order of insertion.
  readonly #watched = new Set<Watched>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /** How many canceled groups are being watched: the leak tests demand zero. */
  get size(): number {
    return this.#watched.size;
  }

  /** Watches the steps of a group that has just been canceled. Returns a function that ends the watch, for when all have settled. */
  watch(steps: readonly DispatchedStep[]): () => void {
    const watched: Watched = { sinceMs: performance.now(), steps, extensions: 0, head: this.#options.board.head() };
    this.#watched.add(watched);
    this.#timer ??= setTimeout(() => this.#due(), this.#options.graceMs);
    return () => {
      this.#watched.delete(watched);
      if (this.#watched.size === 0) this.#stopTimer();
    };
  }

  /** Forgets everything and stops the timer. */
  close(): void {
    this.#watched.clear();
    this.#stopTimer();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #due(): void {
    const firedMs = performance.now();
    // If this thread stalled, outcomes that came in time may still be unread. Timers run before messages, so judge only after the
    // messages of a whole turn.
    setImmediate(() => setImmediate(() => this.#judge(firedMs)));
  }

  /** Judges what was due at `firedMs`, when the timer fired. */
  #judge(firedMs: number): void {
    const { graceMs } = this.#options;
    // A watch that began after the timer fired may have set another timer.
    this.#stopTimer();
    for (const watched of this.#watched) {
      const lateMs = firedMs - watched.sinceMs - graceMs;
      if (lateMs < 0) break;
      this.#watched.delete(watched);
      const processStalled = lateMs > LATE_SHARE * graceMs;
      const spared: DispatchedStep[] = [];
      let countsAsExtension = false;
      for (const step of watched.steps) {
        if (step.settled || step.thread === undefined) continue;
        const { standsStill } = step.thread;
        countsAsExtension ||= !standsStill;
        const { beats, acknowledged } = this.#signsOf(step.thread, watched);
        const isExcused = watched.extensions < MAX_EXTENSIONS && (processStalled || (beats && !acknowledged));
        // Each step for itself: a stuck step is no reason to end the thread of another step of its order.
        if (standsStill || isExcused) spared.push(step);
        else if (beats && acknowledged) this.#options.giveUp(step);
        else step.thread.kill("grace");
      }
      if (spared.length === 0) continue;
      watched.sinceMs = performance.now();
      watched.steps = spared;
      if (countsAsExtension) watched.extensions++;
      this.#watched.add(watched);
    }
    const [next] = this.#watched;
    if (next !== undefined) this.#timer = setTimeout(() => this.#due(), Math.max(1, next.sinceMs + graceMs - performance.now()));
  }

  /** Whether a thread has written its heartbeat since the grace began, and whether it has acted on the cancel. */
  #signsOf({ row }: PoolThread, { head, sinceMs }: Watched): { beats: boolean; acknowledged: boolean } {
    const { board, tracker } = this.#options;
    if (row === undefined) return { beats: false, acknowledged: false };
    const beats = tracker.read(row).heartbeatAgeMs < Math.max(ALIVE_MS, performance.now() - sinceMs);
    return { beats, acknowledged: board.hasAcknowledged(row, head) };
  }
}
