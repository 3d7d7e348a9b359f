import type { Worker } from "node:worker_threads";
import { Piscina } from "piscina";
import type { SpanData } from "../orders/span-data.ts";
import type { LayoutHandle } from "./layout.ts";
import { PoolThread, type ReplaceReason } from "./pool-thread.ts";
import type { LogMessage, StandingTask, ThreadMessage, ThreadSetup } from "./protocol.ts";
import type { ThreadPool } from "./thread-pool.ts";

/** How the threads of a runtime start, and what becomes of what they report. */
export interface ThreadOptions {
  /** Absolute path of the file that Piscina loads on each thread: it exports `standingTask`. */
  readonly workerFile: string;
  /** Plain data for the worker file. */
  readonly settings?: unknown;
  /** Megabytes of old-generation heap a thread may use before it dies as out of memory. */
  readonly heapLimitMb?: number;
  readonly cancelGraceMs: number;
  /** How long a step may run before its own deadline cancels it. */
  readonly longestStepMs: number;
  readonly onLog?: (message: LogMessage) => void;
  /** Spans of steps that have ended, of orders that are sampled; without it none are made. */
  readonly onSpans?: (spans: readonly SpanData[]) => void;
  readonly onFault?: (message: string, error: unknown) => void;
  /** Once for each thread that ends, or is on its way to, while its pool goes on. */
  readonly onReplaced?: (pool: PoolName, threadId: number, reason: ReplaceReason) => void;
}

export type PoolName = "shared" | "exclusive";

export interface PoolOptions extends ThreadOptions {
  readonly name: PoolName;
  readonly threads: number;
  /** Whether they start with the first step that needs one: a thread holds about 12 MB. */
  readonly onDemand: boolean;
  readonly layout: LayoutHandle;
}

// A step holds some kilobytes; half a gigabyte is far above what a full board of them needs, and two threads
// that run away together still leave the machine standing.
const HEAP_LIMIT_MB = 512;
// Three semi-spaces of 2 MB. Steps that wait survive any young generation, so a larger one only stays resident: with the
// default, each thread grew it to 8 to 13 MB under 10 000 waiting orders, and CPU an order was no lower.
const YOUNG_GENERATION_MB = 6;
// A worker file that cannot be loaded fails every time; an accident does not happen to so many threads in a row.
const HOPELESS_STARTS = 5;
const RESTART_PAUSE_MS = 100;
const MAX_RESTART_PAUSE_MS = 5_000;

/**
 * The threads of one Piscina pool from their start to their end, and their replacements. Each gets one standing task, its lane, when it
 * is ready. Main thread only.
 */
export class PiscinaThreads {
  readonly #options: PoolOptions;
  readonly #pool: ThreadPool;
  /** Undefined before the first step, where threads start on demand. */
  #piscina: Piscina<StandingTask, never> | undefined;
  readonly #threads = new Map<Worker, PoolThread>();
  #target = 0;
  #quarantined = 0;
  #failedStarts = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  /** From then on no thread is replaced, and steps without a thread get none. */
  closing = false;
  #startedOrFailed: (() => void) | undefined;
  #startFault: unknown = "they do not load in time";

  constructor(options: PoolOptions, pool: ThreadPool) {
    this.#options = options;
    this.#pool = pool;
    if (!options.onDemand) this.start();
  }

  get name(): PoolName {
    return this.#options.name;
  }

  /** Also those that are loading or leaving. */
  all(): MapIterator<PoolThread> {
    return this.#threads.values();
  }

  /** Those that have loaded, also those that get no more steps. */
  loaded(): PoolThread[] {
    return [...this.all()].filter((thread) => thread.ready);
  }

  /** Resolves when every thread has loaded and claimed its row. Rejects when several threads in a row have died before that. */
  async ready(): Promise<void> {
    const { name, threads } = this.#options;
    while (this.loaded().length < threads) {
      if (this.#failedStarts >= HOPELESS_STARTS) throw new Error(`the threads of the ${name} pool do not start: ${this.#startFault}`);
      await new Promise<void>((resolve) => (this.#startedOrFailed = resolve));
    }
  }

  /** A second call does nothing. Throws what Piscina throws. */
  start(): void {
    if (this.#piscina !== undefined || this.closing) return;
    const { workerFile, threads, heapLimitMb, layout, settings = {}, onSpans } = this.#options;
    const setup: ThreadSetup = { layout, settings, tracing: onSpans !== undefined };
    this.#piscina = new Piscina({
      filename: workerFile,
      name: "standingTask",
      minThreads: threads,
      maxThreads: threads,
      idleTimeout: Number.POSITIVE_INFINITY,
      // `sync` would freeze an idle thread in `Atomics.wait`: no heartbeat, no bell, no keep-alive sockets.
      atomics: "disabled",
      recordTiming: false,
      resourceLimits: { maxOldGenerationSizeMb: heapLimitMb ?? HEAP_LIMIT_MB, maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
      workerData: setup,
      // Piscina calls this inside `run`, with ids and without the payload: set `#target` before `run`.
      loadBalancer: (_task, workers) => workers.find((worker) => worker.id === this.#target) ?? null,
    });
    this.#piscina.on("workerCreate", ({ id }: { id: number }) => this.#update(id, (thread) => (thread.listed = true)));
    this.#piscina.on("message", (message: ThreadMessage) => this.#receive(message));
    // Each thread's own event says it, see below; without a listener this one would be thrown.
    this.#piscina.on("error", () => {});
    this.#watchNewWorkers();
  }

  /**
   * Gives a thread no more steps and replaces it, but lets the steps it has end: the last of them kills it, or a timer. False where too
   * many are in quarantine already.
   */
  quarantine(thread: PoolThread): boolean {
    if (thread.quarantine !== undefined) return true;
    if (thread.leaving !== undefined || this.#quarantined >= this.#options.threads) return false;
    const { longestStepMs, cancelGraceMs } = this.#options;
    thread.leaving = "grace";
    thread.quarantine = setTimeout(() => thread.kill("grace"), longestStepMs + cancelGraceMs).unref();
    this.#quarantined++;
    this.#replaced(thread, "grace");
    this.#ensureThreads(0);
    return true;
  }

  async close(): Promise<void> {
    this.closing = true;
    clearTimeout(this.#restartTimer);
    const gone = [...this.#threads.keys()].map((worker) => new Promise<void>((resolve) => worker.once("exit", () => resolve())));
    await this.#piscina?.destroy();
    await Promise.all(gone);
    // Piscina replaces a thread that crashes while it is being closed.
    while (this.#piscina?.threads.length) await this.#piscina.destroy();
  }

  #replaced({ id }: PoolThread, reason: ReplaceReason): void {
    this.#options.onReplaced?.(this.#options.name, id, reason);
  }

  #giveStandingTask(thread: PoolThread): void {
    const port = thread.openLane((entries) => this.#pool.outcomes(thread, entries));
    this.#target = thread.id;
    const standing = (this.#piscina as Piscina<StandingTask, never>).run(port, { transferList: [port] as never });
    // It ends only with its thread, which the `exit` event reports: a dying thread may reject it before that, or resolve it (`throw null`).
    const ended = (error: unknown): void => {
      if (thread.leaving !== undefined || this.closing) return;
      this.#options.onFault?.("a thread's standing task ended", error);
      thread.kill("uncaught");
    };
    standing.then(ended, ended);
  }

  #receive(message: ThreadMessage): void {
    if (message.type === "ready") this.#update(message.threadId, (thread) => (thread.row = message.row));
    else if (message.type === "log") this.#options.onLog?.(message);
    else this.#options.onSpans?.(message.spans);
  }

  /** Piscina reports no thread that dies while it starts, so every worker is watched as soon as it is there. */
  #watchNewWorkers(): void {
    for (const worker of this.#piscina?.threads ?? []) {
      if (this.#threads.has(worker)) continue;
      const thread = new PoolThread(worker);
      this.#threads.set(worker, thread);
      // Anything can be thrown, null included.
      worker.once("error", (error: NodeJS.ErrnoException | null | undefined) => {
        this.#options.onFault?.("a thread crashed", error);
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
      if (!thread.listed || thread.row === undefined || thread.leaving !== undefined || thread.ready) continue;
      this.#giveStandingTask(thread);
      this.#failedStarts = 0;
      this.#startedOrFailed?.();
      this.#pool.lookAtWaiting();
    }
  }

  #exited(thread: PoolThread): void {
    this.#threads.delete(thread.worker);
    thread.closeLane();
    const wasQuarantined = thread.quarantine !== undefined;
    if (wasQuarantined) this.#quarantined--;
    clearTimeout(thread.quarantine);
    thread.leaving ??= "exit";
    this.#pool.exited(thread, thread.leaving);
    if (this.closing) return;
    if (!wasQuarantined) this.#replaced(thread, thread.leaving);
    if (!thread.ready) {
      this.#failedStarts++;
      this.#startedOrFailed?.();
    }
    this.#watchNewWorkers();
    this.#ensureThreads(thread.ready ? 0 : Math.min(RESTART_PAUSE_MS * 2 ** (this.#failedStarts - 1), MAX_RESTART_PAUSE_MS));
  }

  /**
   * Piscina replaces a thread that dies, but none in quarantine, and none ever again once a thread died while it was starting. A task that
   * fits no thread makes Piscina start one all the same; the task is aborted at once and never runs.
   */
  #ensureThreads(pauseMs: number): void {
    const piscina = this.#piscina;
    const wanted = this.#options.threads + this.#quarantined;
    if (piscina === undefined) return;
    // Otherwise Piscina starts a thread too many for the standing task of a thread that it does not count as ready yet.
    piscina.options.maxThreads = wanted;
    if (piscina.threads.length >= wanted || this.#restartTimer !== undefined) return;
    this.#restartTimer = setTimeout(() => {
      this.#restartTimer = undefined;
      this.#target = -1;
      const abort = new AbortController();
      piscina.run({} as never, { signal: abort.signal }).catch(() => {});
      abort.abort();
      this.#watchNewWorkers();
      this.#ensureThreads(0);
    }, pauseMs);
  }
}
