import type { CancelScope } from "../concurrency/cancel-scope.ts";
import { Capacity, type CapacityOptions, type CapacityView } from "../concurrency/capacity.ts";
import { DEFAULT_URGENCY } from "../concurrency/urgency.ts";
import type { InspectableThreads } from "../diagnosis/thread-inspector.ts";
import { ThreadUnavailable } from "../diagnosis/thread-unavailable.ts";
import type { SpanData } from "../orders/span-data.ts";
import type { StepRun, StepRunner } from "../orders/step-runner.ts";
import { CancelBoard } from "./cancel-board.ts";
import { cpuProfileOf } from "./cpu-profile.ts";
import { GraceWatch } from "./grace-watch.ts";
import { heapSnapshotOf } from "./heap-snapshot.ts";
import { HeartbeatWatch } from "./heartbeat-watch.ts";
import { Layout } from "./layout.ts";
import type { LongStep } from "./long-steps.ts";
import type { PoolThread, ReplaceReason } from "./pool-thread.ts";
import type { LogMessage, SpansMessage } from "./protocol.ts";
import { ThreadPool } from "./thread-pool.ts";
import { type RunParts, ThreadRun } from "./thread-run.ts";
import { type Totals, Tracker } from "./tracker.ts";

export interface ThreadRuntimeOptions {
  /** Absolute path of the worker file that Piscina loads on each thread. */
  readonly workerFile: string;
  /** Threads of the shared pool, 1 or more. */
  readonly threads: number;
  /** Threads of the exclusive pool, 1 or more. */
  readonly cpuThreads: number;
  /** Whether the exclusive pool starts with the first step that computes, for a service where perhaps none ever does. */
  readonly cpuThreadsOnDemand?: boolean;
  /** Of the lines in front of the exclusive pool's threads. */
  readonly waiting?: CapacityOptions;
  readonly cancelGraceMs: number;
  /** Runs that may be open at one time. */
  readonly maxRuns: number;
  /** Plain data for the worker file. */
  readonly settings?: unknown;
  readonly heapLimitMb?: number;
  readonly onLog?: (message: LogMessage) => void;
  /** Spans of steps that have ended, of orders that are sampled; without it none are made. */
  readonly onSpans?: (spans: readonly SpanData[]) => void;
  readonly onFault?: (message: string, error: unknown) => void;
  readonly onReplaced?: (pool: string, threadId: number, reason: ReplaceReason) => void;
}

/** One thread as `/debug/threads` shows it. */
export interface ThreadView {
  readonly id: number;
  readonly pool: string;
  readonly running: number;
  readonly started: number;
  readonly finished: number;
  readonly heartbeatAgeMs: number;
}

// A step holds some kilobytes; half a gigabyte is far above what a full board of them needs, and two threads
// that run away together still leave the machine standing.
const HEAP_LIMIT_MB = 512;

/** The threads: both pools, the shared memory and the watchers over them. The step runner of the running service. Main thread only. */
export class ThreadRuntime implements StepRunner, InspectableThreads {
  readonly #layout: Layout;
  readonly #board: CancelBoard;
  readonly #tracker: Tracker;
  readonly #shared: ThreadPool;
  readonly #exclusive: ThreadPool;
  readonly #exclusiveCapacity: Capacity;
  readonly #parts: RunParts;
  readonly #grace: GraceWatch;
  readonly #heartbeat: HeartbeatWatch;
  readonly #replaced = new Map<ReplaceReason, number>();

  private constructor(options: ThreadRuntimeOptions) {
    // Twice as many rows as threads: a replacement claims its row while the dead thread's is still being settled.
    this.#layout = Layout.allocate(options.maxRuns, 2 * (options.threads + options.cpuThreads));
    this.#board = new CancelBoard(this.#layout);
    this.#tracker = new Tracker(this.#layout);
    const common = {
      workerFile: options.workerFile,
      setup: { layout: this.#layout.handle, settings: options.settings ?? {}, tracing: options.onSpans !== undefined },
      layout: this.#layout,
      tracker: this.#tracker,
      heapLimitMb: options.heapLimitMb ?? HEAP_LIMIT_MB,
      onMessage: (message: LogMessage | SpansMessage) =>
        message.type === "log" ? options.onLog?.(message) : options.onSpans?.(message.spans),
      onFault: (message: string, error: unknown) => options.onFault?.(message, error),
      onReplaced: (pool: ThreadPool, thread: PoolThread, reason: ReplaceReason) => {
        this.#replaced.set(reason, (this.#replaced.get(reason) ?? 0) + 1);
        options.onReplaced?.(pool.name, thread.id, reason);
      },
    };
    this.#shared = new ThreadPool({ ...common, name: "shared", threads: options.threads, onDemand: false });
    const onDemand = options.cpuThreadsOnDemand ?? false;
    this.#exclusive = new ThreadPool({ ...common, name: "exclusive", threads: options.cpuThreads, onDemand });
    this.#exclusiveCapacity = new Capacity(options.cpuThreads, options.waiting);
    const kill = (thread: PoolThread) => void (this.#shared.kill(thread, "grace") || this.#exclusive.kill(thread, "grace"));
    this.#grace = new GraceWatch(options.cancelGraceMs, this.#layout, kill);
    this.#parts = {
      board: this.#board,
      grace: this.#grace,
      shared: this.#shared,
      exclusive: this.#exclusive,
      exclusiveCapacity: this.#exclusiveCapacity,
    };
    this.#heartbeat = new HeartbeatWatch(this.#layout, [this.#shared, this.#exclusive], () => void this.#tracker.totals());
  }

  /** Starts the threads and resolves when all that are not on demand are up. Rejects when they cannot be started, with none left. */
  static async start(options: ThreadRuntimeOptions): Promise<ThreadRuntime> {
    const runtime = new ThreadRuntime(options);
    try {
      await Promise.all([runtime.#shared.ready(), options.cpuThreadsOnDemand || runtime.#exclusive.ready()]);
      return runtime;
    } catch (error) {
      await runtime.close();
      throw error;
    }
  }

  open(scope: CancelScope, urgency: number = DEFAULT_URGENCY): StepRun {
    return new ThreadRun(this.#parts, scope, urgency);
  }

  /** The exclusive pool's threads as a capacity: steps that compute hold one each, or wait for one. */
  get exclusive(): CapacityView {
    return this.#exclusiveCapacity;
  }

  /** What runs and ever ran, from the threads' own books. */
  totals(): Totals {
    return this.#tracker.totals();
  }

  threads(): ThreadView[] {
    return this.#pools().flatMap((pool) =>
      pool.threads.flatMap((thread) => {
        if (thread.row === undefined) return [];
        return [{ id: thread.id, pool: pool.name, ...this.#tracker.read(thread.row) }];
      }),
    );
  }

  /** Notes that time has passed, for `longSteps`: in even pauses while somebody looks. */
  markTime(): void {
    for (const pool of this.#pools()) pool.longSteps.mark();
  }

  /** Some of the steps that have run for long and still do: how many is bounded. Knows only what ran while time was marked. */
  longSteps(): LongStep[] {
    return this.#pools().flatMap((pool) => pool.longSteps.sample());
  }

  /** Nobody looks any more. */
  forgetTime(): void {
    for (const pool of this.#pools()) pool.longSteps.forget();
  }

  /** How many threads were replaced, by reason. */
  replaced(): ReadonlyMap<ReplaceReason, number> {
    return this.#replaced;
  }

  /** Everything that must be zero when no order is in flight. */
  books(): { slots: number; unsettled: number; exclusivePermits: number; exclusiveWaiting: number; graceWatched: number } {
    return {
      slots: this.#board.inUse,
      unsettled: this.#shared.unsettled + this.#exclusive.unsettled,
      exclusivePermits: this.#exclusiveCapacity.inUse,
      exclusiveWaiting: this.#exclusiveCapacity.waiting,
      graceWatched: this.#grace.size,
    };
  }

  /** Terminates the busiest thread, or an idle one where none is busy. Returns its id, undefined when none is up. */
  killThread(): number | undefined {
    const busiest = this.#pools()
      .flatMap((pool) => pool.threads.map((thread) => ({ pool, thread })))
      .filter(({ thread }) => thread.leaving === undefined)
      .sort((a, b) => b.thread.inFlight - a.thread.inFlight)[0];
    if (busiest === undefined) return undefined;
    busiest.pool.kill(busiest.thread, "chaos");
    return busiest.thread.id;
  }

  async cpuProfile(threadId: number, ms: number, stop: CancelScope): Promise<string> {
    return cpuProfileOf(this.#thread(threadId).thread, ms, stop);
  }

  async *heapSnapshot(threadId: number): AsyncGenerator<Uint8Array> {
    const { thread, pool } = this.#thread(threadId);
    yield* heapSnapshotOf(thread, () => pool.goesOn());
  }

  /** Ends all threads; steps still running are lost. Drain first. */
  async close(): Promise<void> {
    this.#heartbeat.close();
    this.#grace.close();
    await Promise.all(this.#pools().map((pool) => pool.close()));
  }

  #thread(threadId: number): { readonly thread: PoolThread; readonly pool: ThreadPool } {
    for (const pool of this.#pools()) {
      const thread = pool.threads.find(({ id, leaving }) => id === threadId && leaving === undefined);
      if (thread !== undefined) return { thread, pool };
    }
    throw new ThreadUnavailable("unknown", `no thread of the pools has the id ${threadId}`);
  }

  #pools(): readonly ThreadPool[] {
    return [this.#shared, this.#exclusive];
  }
}
