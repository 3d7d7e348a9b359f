import type { Worker } from "node:worker_threads";
import { Piscina } from "piscina";
import type { DispatchedStep } from "./dispatched-step.ts";
import { Lane } from "./lane.ts";
import type { Layout } from "./layout.ts";
import { LongSteps } from "./long-steps.ts";
import { PoolThread, type ReplaceReason } from "./pool-thread.ts";
import type { LogMessage, OutcomeEntry, SpansMessage, StandingTask, StepMessage, ThreadMessage, ThreadSetup } from "./protocol.ts";
import { StepTable } from "./step-table.ts";
import type { Tracker } from "./tracker.ts";

export interface ThreadPoolOptions {
  readonly name: "shared" | "exclusive";
  readonly threads: number;
  /** Whether they start with the first step that needs one: a thread holds about 12 MB. */
  readonly onDemand: boolean;
  readonly workerFile: string;
  readonly setup: ThreadSetup;
  readonly layout: Layout;
  readonly tracker: Tracker;
  readonly onMessage: (message: LogMessage | SpansMessage) => void;
  readonly onReplaced: (pool: ThreadPool, thread: PoolThread, reason: ReplaceReason) => void;
  readonly onFault: (message: string, error: unknown) => void;
  /** Megabytes of old-generation heap a thread may use before it dies as out of memory. */
  readonly heapLimitMb: number;
}

// Three semi-spaces of 2 MB. Steps that wait survive any young generation, so a larger one only stays resident: with the
// default, each thread grew it to 8 to 13 MB under 10 000 waiting orders, 2 KB an order; CPU an order was no lower for it.
const YOUNG_GENERATION_MB = 6;
// Enough for a step declared repeatable to survive an accident, too few for one that kills its thread to kill many.
const MAX_REPEATS = 2;
// A worker file that cannot be loaded fails every time; an accident does not happen to so many threads in a row.
const HOPELESS_STARTS = 5;
const RESTART_PAUSE_MS = 100;
const MAX_RESTART_PAUSE_MS = 5_000;

/**
 * One Piscina pool. Each thread has one standing task, its lane; the steps of one event-loop turn go through it as one message a
 * thread. Main thread only.
 *
 * `shared` puts any number of waiting steps on a thread, `exclusive` one computing step at a time.
 *
 * Piscina's queue is never used: a task in it could not be taken back without an `AbortSignal`, and with one it may
 * not share a thread. So the standing task is handed over only when its thread is ready, and a step that has no
 * thread yet waits here, where a cancel finds it.
 */
export class ThreadPool {
  readonly name: "shared" | "exclusive";
  readonly #options: ThreadPoolOptions;
  /** Undefined until a step needs it, where that is how it starts. */
  #piscina: Piscina<StandingTask, never> | undefined;
  readonly #threads = new Map<Worker, PoolThread>();
  readonly #steps = new StepTable();
  /** For whoever looks at what runs. */
  readonly longSteps = new LongSteps(this.#steps);
  #waiting: DispatchedStep[] = [];
  #flushScheduled = false;
  #target = 0;
  #failedStarts = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  #closing = false;
  #startedOrFailed: (() => void) | undefined;
  #startFault: unknown;

  constructor(options: ThreadPoolOptions) {
    this.name = options.name;
    this.#options = options;
    if (!options.onDemand) this.#start();
  }

  /** Live threads that take steps. */
  get threads(): readonly PoolThread[] {
    return [...this.#threads.values()].filter((thread) => thread.ready);
  }

  /** How many threads this pool is meant to have. */
  get size(): number {
    return this.#options.threads;
  }

  /** Steps handed to this pool that have not settled. */
  get unsettled(): number {
    return this.#steps.size;
  }

  /** Resolves when every thread has loaded and claimed its row. Rejects when one after the other dies before it has. */
  async ready(): Promise<void> {
    while (this.threads.length < this.#options.threads) {
      if (this.#failedStarts >= HOPELESS_STARTS) throw new Error(`the threads of the ${this.name} pool do not start: ${this.#startFault}`);
      await new Promise<void>((resolve) => (this.#startedOrFailed = resolve));
    }
  }

  /** Takes a step into the next message to its thread. Its outcome comes through `step.settle`. */
  enqueue(step: DispatchedStep): void {
    this.#start();
    this.#steps.add(step);
    this.#waiting.push(step);
    this.#scheduleFlush();
  }

  /** To be called when a step settled, however. */
  forget(step: DispatchedStep): void {
    this.#steps.remove(step);
    // The exclusive pool may have a step waiting for this thread.
    if (this.#waiting.length > 0) this.#scheduleFlush();
  }

  /** A thread that stood still takes steps again: those that wait here may go to it. */
  goesOn(): void {
    if (this.#waiting.length > 0) this.#scheduleFlush();
  }

  /** A run was canceled: steps of it that still wait here must not. */
  canceled(): void {
    if (this.#waiting.length > 0) this.#scheduleFlush();
  }

  /**
   * Terminates a thread; its `exit` settles what it had. Piscina starts a new one. Only a ready thread may be
   * killed: one killed while it starts makes Piscina give up on replacing any.
   */
  kill(thread: PoolThread, reason: ReplaceReason): boolean {
    if (!thread.ready || thread.leaving !== undefined) return false;
    thread.leaving = reason;
    void thread.worker.terminate();
    return true;
  }

  /** Ends all threads. Steps that have not settled are lost. */
  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#restartTimer);
    const gone = [...this.#threads.keys()].map((worker) => new Promise<void>((resolve) => worker.once("exit", () => resolve())));
    await this.#piscina?.destroy();
    await Promise.all(gone);
  }

  /** Does nothing where it was called before. Throws what Piscina does. */
  #start(): void {
    if (this.#piscina !== undefined || this.#closing) return;
    const options = this.#options;
    this.#piscina = new Piscina({
      filename: options.workerFile,
      minThreads: options.threads,
      maxThreads: options.threads,
      idleTimeout: Number.POSITIVE_INFINITY,
      // `sync` would freeze an idle thread in `Atomics.wait`: no heartbeat, no bell, no keep-alive sockets.
      atomics: "disabled",
      recordTiming: false,
      resourceLimits: { maxOldGenerationSizeMb: options.heapLimitMb, maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
      workerData: options.setup,
      // Sees ids only, not the payload, and is asked inside `run`: whoever calls `run` says before whom it means.
      loadBalancer: (_task, workers) => workers.find((worker) => worker.id === this.#target) ?? null,
    });
    this.#piscina.on("workerCreate", ({ id }: { id: number }) => this.#update(id, (thread) => (thread.listed = true)));
    this.#piscina.on("message", (message: ThreadMessage) => this.#receive(message));
    this.#piscina.on("error", (error: unknown) => options.onFault("a thread failed between two steps", error));
    this.#watchNewWorkers();
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushScheduled = false;
    const { layout } = this.#options;
    const waiting = this.#waiting;
    this.#waiting = [];
    const messages = new Map<PoolThread, StepMessage[]>();
    for (const step of waiting) {
      const cause = layout.causeOf(step.slot);
      if (cause !== undefined) {
        step.settle({ status: "canceled", cause, effect: "none" });
        continue;
      }
      const thread = this.#leastBusy();
      if (thread === undefined) {
        this.#waiting.push(step);
        continue;
      }
      step.moveTo(thread);
      const steps = messages.get(thread);
      if (steps === undefined) messages.set(thread, [step.message()]);
      else steps.push(step.message());
    }
    for (const [thread, steps] of messages) thread.lane?.send(steps);
  }

  #leastBusy(): PoolThread | undefined {
    let best: PoolThread | undefined;
    for (const thread of this.#threads.values()) {
      if (!thread.ready || thread.leaving !== undefined || thread.standsStill) continue;
      if (this.name === "exclusive" && thread.inFlight > 0) continue;
      if (best === undefined || thread.inFlight < best.inFlight) best = thread;
    }
    return best;
  }

  #openLane(thread: PoolThread): void {
    if (thread.lane !== undefined) return;
    const lane = new Lane(this.#settleAll);
    thread.lane = lane;
    this.#target = thread.id;
    const standing = (this.#piscina as Piscina<StandingTask, never>).run({ port: lane.farEnd }, { transferList: [lane.farEnd] as never });
    // Ends only with its thread, which is told by the `exit` event: whoever dies may reject before that, or resolve (of `throw null`).
    const ended = (error: unknown): void => {
      if (!this.#threads.has(thread.worker) || thread.leaving !== undefined || this.#closing) return;
      this.#options.onFault("a thread's standing task ended", error);
      this.kill(thread, "uncaught");
    };
    standing.then(ended, ended);
  }

  #receive(message: ThreadMessage): void {
    if (message.type === "ready") this.#update(message.threadId, (thread) => (thread.row = message.row));
    else this.#options.onMessage(message);
  }

  readonly #settleAll = (entries: readonly OutcomeEntry[]): void => {
    for (const [id, startedAtMs, endedAtMs, outcome] of entries) {
      this.#steps.get(id)?.settle(outcome ?? { status: "ok" }, endedAtMs, startedAtMs);
    }
  };

  /** Piscina has no event for a thread that dies while it starts, so every worker is watched from the moment it is listed. */
  #watchNewWorkers(): void {
    for (const worker of this.#piscina?.threads ?? []) {
      if (this.#threads.has(worker)) continue;
      const thread = new PoolThread(worker);
      this.#threads.set(worker, thread);
      // Anything can be thrown, null included.
      worker.once("error", (error: NodeJS.ErrnoException | null | undefined) => {
        if (!thread.ready) this.#startFault = error;
        thread.leaving ??= error?.code === "ERR_WORKER_OUT_OF_MEMORY" ? "out_of_memory" : "uncaught";
      });
      worker.once("exit", () => this.#exited(thread));
    }
  }

  #update(threadId: number, change: (thread: PoolThread) => void): void {
    this.#watchNewWorkers();
    for (const thread of this.#threads.values()) {
      if (thread.id !== threadId) continue;
      change(thread);
      if (!thread.listed || thread.row === undefined || thread.leaving !== undefined) continue;
      this.#openLane(thread);
      this.#failedStarts = 0;
      this.#startedOrFailed?.();
      if (this.#waiting.length > 0) this.#scheduleFlush();
    }
  }

  #exited(thread: PoolThread): void {
    this.#threads.delete(thread.worker);
    thread.lane?.close();
    // It may have claimed a row and died before its message said so.
    const row = thread.row ?? this.#options.layout.rowOf(thread.id);
    if (row !== undefined) this.#options.tracker.settle(row);
    const reason = thread.leaving ?? "exit";
    thread.leaving = reason;
    const { layout } = this.#options;
    for (const step of this.#steps.all()) {
      if (step.thread !== thread) continue;
      const cause = layout.causeOf(step.slot);
      // It may have been this thread that canceled, and it may have died before it rang.
      if (cause === "sibling_failed") layout.ring(step.slot);
      // A cancel that this thread has not heard of comes from a step that failed, perhaps on the thread that died.
      if (cause !== undefined && step.scopeCause === cause) step.settle({ status: "canceled", cause, effect: "unknown" });
      else if (cause === undefined && step.spec.repeatable && step.repeats < MAX_REPEATS && !this.#closing) this.#repeat(step);
      else step.settle({ status: "lost", reason: `thread ended: ${reason}`, effect: "unknown" });
    }
    if (this.#closing) {
      for (const step of this.#waiting.splice(0)) step.settle({ status: "canceled", cause: "shutdown", effect: "none" });
      return;
    }
    this.#options.onReplaced(this, thread, reason);
    if (!thread.ready) {
      this.#failedStarts++;
      this.#startedOrFailed?.();
    }
    this.#watchNewWorkers();
    this.#ensureThreads(thread.ready);
  }

  #repeat(step: DispatchedStep): void {
    step.moveTo(undefined);
    step.repeats++;
    this.#waiting.push(step);
    this.#scheduleFlush();
  }

  /**
   * Piscina replaces a thread that dies, but once one died while it was starting it never does so again. A task
   * that it can give to nobody makes it start a thread all the same; aborted in the same breath it never runs.
   */
  #ensureThreads(wasReady: boolean): void {
    const piscina = this.#piscina;
    if (piscina === undefined || piscina.threads.length >= this.#options.threads || this.#restartTimer !== undefined) return;
    const pause = wasReady ? 0 : Math.min(RESTART_PAUSE_MS * 2 ** (this.#failedStarts - 1), MAX_RESTART_PAUSE_MS);
    this.#restartTimer = setTimeout(() => {
      this.#restartTimer = undefined;
      this.#target = -1;
      const abort = new AbortController();
      piscina.run({} as never, { signal: abort.signal }).catch(() => {});
      abort.abort();
      this.#watchNewWorkers();
      this.#ensureThreads(true);
    }, pause);
  }
}
