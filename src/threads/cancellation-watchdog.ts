import type { CancelBoard } from "./cancel-board.ts";
import type { DispatchedStep } from "./dispatched-step.ts";
import type { PoolThread } from "./pool-thread.ts";
import { ALIVE_MS, type Tracker } from "./tracker.ts";

interface Watched {
  dueMs: number;
  steps: readonly DispatchedStep[];
  extensions: number;
  /** Steps that each of their threads had finished when they were last looked at. */
  finished: ReadonlyMap<PoolThread, number>;
  readonly canceledAtMs: number;
  readonly head: number;
}

export interface WatchdogOptions {
  readonly graceMs: number;
  readonly board: CancelBoard;
  readonly tracker: Tracker;
  /** The thread is well, but this step of it ignores its cancel. */
  readonly giveUp: (step: DispatchedStep) => void;
}

// How often a thread that beats or finishes steps, but has not acted on its bell yet, gets the grace again: it is overloaded, not stuck.
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

  /** The group of these steps has just been canceled. Returns how to end the watch, once all of them have settled. */
  watch(steps: readonly DispatchedStep[]): () => void {
    const { graceMs, board } = this.#options;
    const canceledAtMs = performance.now();
    const watched: Watched = {
      canceledAtMs,
      dueMs: canceledAtMs + graceMs,
      head: board.head(),
      steps,
      extensions: 0,
      finished: this.#finishedBy(steps),
    };
    this.#watched.add(watched);
    this.#timer ??= setTimeout(() => this.#due(), graceMs);
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

  /** Judges what was due when the timer fired. The time since then excuses nobody. */
  #judge(firedMs: number): void {
    const { graceMs } = this.#options;
    // A watch that began since the timer fired may have set another.
    this.#stopTimer();
    for (const watched of this.#watched) {
      if (watched.dueMs > firedMs) break;
      this.#watched.delete(watched);
      const processStalled = firedMs - watched.dueMs > LATE_SHARE * graceMs;
      const spared: DispatchedStep[] = [];
      let countsAsExtension = false;
      for (const step of watched.steps) {
        if (step.settled || step.thread === undefined) continue;
        const { standsStill } = step.thread;
        countsAsExtension ||= !standsStill;
        const isExcused = watched.extensions < MAX_EXTENSIONS && (processStalled || this.#isOnlyOverloaded(step.thread, watched));
        // Each step for itself: a stuck step is no reason to end the thread of another step of its order.
        if (standsStill || isExcused) spared.push(step);
        else this.#end(step, step.thread, watched);
      }
      if (spared.length === 0) continue;
      watched.dueMs = performance.now() + graceMs;
      watched.steps = spared;
      if (countsAsExtension) watched.extensions++;
      watched.finished = this.#finishedBy(spared);
      this.#watched.add(watched);
    }
    const [next] = this.#watched;
    if (next !== undefined) this.#timer = setTimeout(() => this.#due(), Math.max(1, next.dueMs - performance.now()));
  }

  #end(step: DispatchedStep, thread: PoolThread, watched: Watched): void {
    if (this.#isWell(thread, watched)) this.#options.giveUp(step);
    else thread.kill("grace");
  }

  /** It has acted on the cancel and has written its heartbeat since. */
  #isWell({ row }: PoolThread, { head, canceledAtMs }: Watched): boolean {
    const { board, tracker } = this.#options;
    if (row === undefined || !board.hasAcknowledged(row, head)) return false;
    return tracker.read(row).heartbeatAgeMs < Math.max(ALIVE_MS, performance.now() - canceledAtMs);
  }

  #isOnlyOverloaded(thread: PoolThread, { head, finished }: Watched): boolean {
    const { board, tracker } = this.#options;
    if (thread.row === undefined || board.hasAcknowledged(thread.row, head)) return false;
    const counts = tracker.read(thread.row);
    return counts.heartbeatAgeMs < ALIVE_MS || counts.finished !== finished.get(thread);
  }

  #finishedBy(steps: readonly DispatchedStep[]): ReadonlyMap<PoolThread, number> {
    const finished = new Map<PoolThread, number>();
    for (const { thread } of steps) if (thread?.row !== undefined) finished.set(thread, this.#options.tracker.read(thread.row).finished);
    return finished;
  }
}
