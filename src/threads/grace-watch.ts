import type { DispatchedStep } from "./dispatched-step.ts";
import type { Layout } from "./layout.ts";
import type { PoolThread } from "./pool-thread.ts";

interface Watched {
  dueMs: number;
  steps: readonly DispatchedStep[];
  extensions: number;
  /** Steps that each of their threads had finished when they were last looked at. */
  finished: ReadonlyMap<PoolThread, number>;
  readonly head: number;
}

// A thread that beats or finishes steps, but has not acted on its bell yet, is overloaded, not stuck. It gets the
// grace again, so often; a live thread that needs more than this is no good to anyone.
const MAX_EXTENSIONS = 7;
const ALIVE_MS = 200;
// A timer that fires later than this part of the grace says that the whole process was held up, stopped perhaps: its threads may not have
// had their grace and get it again. A busy event loop is late by its turns, which are far shorter, and that says nothing of the threads.
const LATE_SHARE = 0.5;

/**
 * Ask, wait, kill: steps that have not stopped `graceMs` after their cancel have their thread replaced. Main thread
 * only. One queue and one timer for all orders: the grace is the same for all, so the queue is in order of time.
 */
export class GraceWatch {
  readonly #graceMs: number;
  readonly #layout: Layout;
  readonly #kill: (thread: PoolThread) => void;
  // In order of time, as a Set keeps the order of insertion; a run that ends leaves it at once.
  readonly #watched = new Set<Watched>();
  #timer: NodeJS.Timeout | undefined;

  constructor(graceMs: number, layout: Layout, kill: (thread: PoolThread) => void) {
    this.#graceMs = graceMs;
    this.#layout = layout;
    this.#kill = kill;
  }

  /** How many canceled runs are being watched: the leak tests demand zero. */
  get size(): number {
    return this.#watched.size;
  }

  /** The run of these steps has just been canceled. Returns how to end the watch, for when all of them have settled. */
  watch(steps: readonly DispatchedStep[]): () => void {
    const watched: Watched = {
      dueMs: performance.now() + this.#graceMs,
      head: this.#layout.head(),
      steps,
      extensions: 0,
      finished: this.#finishedBy(steps),
    };
    this.#watched.add(watched);
    this.#timer ??= setTimeout(() => this.#due(), this.#graceMs);
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
    // If this thread was held up, outcomes that came in time may still be waiting to be read. Timers run before
    // messages, so judge only after the messages of a whole turn have been handled.
    setImmediate(() => setImmediate(() => this.#judge(firedMs)));
  }

  /** What was due when the timer fired. The time since then is this thread's own, and nobody's excuse. */
  #judge(firedMs: number): void {
    // A watch that began since the timer fired may have set another.
    this.#stopTimer();
    for (const watched of this.#watched) {
      if (watched.dueMs > firedMs) break;
      this.#watched.delete(watched);
      const isHeldUp = firedMs - watched.dueMs > LATE_SHARE * this.#graceMs;
      const spared: DispatchedStep[] = [];
      let mayBeStuck = false;
      for (const step of watched.steps) {
        if (step.settled || step.thread === undefined) continue;
        const { standsStill } = step.thread;
        mayBeStuck ||= !standsStill;
        const isExcused = watched.extensions < MAX_EXTENSIONS && (isHeldUp || this.#isOnlyOverloaded(step.thread, watched));
        // Each step for itself: one that is stuck is no reason to end a thread that another one of its order is on.
        if (standsStill || isExcused) spared.push(step);
        else this.#kill(step.thread);
      }
      if (spared.length === 0) continue;
      watched.dueMs = performance.now() + this.#graceMs;
      watched.steps = spared;
      if (mayBeStuck) watched.extensions++;
      watched.finished = this.#finishedBy(spared);
      this.#watched.add(watched);
    }
    const [next] = this.#watched;
    if (next !== undefined) this.#timer = setTimeout(() => this.#due(), Math.max(1, next.dueMs - performance.now()));
  }

  #isOnlyOverloaded(thread: PoolThread, { head, finished }: Watched): boolean {
    if (thread.row === undefined || this.#layout.hasSeen(thread.row, head)) return false;
    const row = this.#layout.readRow(thread.row);
    return row.heartbeatAgeMs < ALIVE_MS || row.finished !== finished.get(thread);
  }

  #finishedBy(steps: readonly DispatchedStep[]): ReadonlyMap<PoolThread, number> {
    const finished = new Map<PoolThread, number>();
    for (const { thread } of steps) if (thread?.row !== undefined) finished.set(thread, this.#layout.readRow(thread.row).finished);
    return finished;
  }
}
