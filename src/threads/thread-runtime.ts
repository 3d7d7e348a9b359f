import type { CancelScope } from "../concurrency/cancel-scope.ts";
import { Capacity, type CapacityOptions, type CapacityView } from "../concurrency/capacity.ts";
import { monotonicMs } from "../concurrency/clock.ts";
import { DEFAULT_URGENCY } from "../concurrency/urgency.ts";
import type { InspectableThreads } from "../diagnosis/inspected-thread.ts";
import { LongSteps } from "../diagnosis/long-steps.ts";
import type { SpanData } from "../orders/span-data.ts";
import type { StepGroup, StepRunner } from "../orders/step-runner.ts";
import { CancelBoard } from "./cancel-board.ts";
import { CancellationWatchdog } from "./cancellation-watchdog.ts";
import { HeartbeatWatch } from "./heartbeat-watch.ts";
import { Layout } from "./layout.ts";
import type { PoolThread, ReplaceReason } from "./pool-thread.ts";
import type { LogMessage, SpansMessage } from "./protocol.ts";
import { Slots } from "./slots.ts";
import { DispatchedGroup, type GroupParts } from "./step-group.ts";
import { ThreadPool } from "./thread-pool.ts";
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
  /** Groups of steps that may be open at one time. */
  readonly maxGroups: number;
  /** Plain data for the worker file. */
  readonly settings?: unknown;
  readonly heapLimitMb?: number;
  /** How long a step may run before its own deadline cancels it. */
  readonly longestStepMs?: number;
  /** How long a thread may take to load its worker file. */
  readonly startTimeoutMs?: number;
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
// An order takes 2 seconds unless it is set otherwise.
const LONGEST_STEP_MS = 10_000;

/** The threads: both pools, the shared memory and the watchers over them. The step runner of the running service. Main thread only. */
export class ThreadRuntime implements StepRunner, InspectableThreads {
  readonly #slots: Slots;
  readonly #tracker: Tracker;
  readonly #shared: ThreadPool;
  readonly #exclusive: ThreadPool;
  readonly #exclusiveCapacity: Capacity;
  readonly #parts: GroupParts;
  readonly #watchdog: CancellationWatchdog;
  readonly #heartbeat: HeartbeatWatch;
  /** Some of the steps that have run for long and still do: how many is bounded. Knows only what ran while time was marked. */
  readonly longSteps: LongSteps;
  readonly #replaced = new Map<ReplaceReason, number>();

  private constructor(options: ThreadRuntimeOptions) {
    // A replacement claims its row while the dead thread's is still being settled, and as many threads may be in quarantine.
    const layout = Layout.allocate({ slots: options.maxGroups, rows: 3 * (options.threads + options.cpuThreads) });
    const board = CancelBoard.create(layout);
    const tracker = new Tracker(layout);
    const onDemand = options.cpuThreadsOnDemand ?? false;
    this.#tracker = tracker;
    this.#slots = new Slots(board, options.maxGroups);
    const common = {
      workerFile: options.workerFile,
      setup: { layout: layout.handle, settings: options.settings ?? {}, tracing: options.onSpans !== undefined },
      board,
      tracker,
      heapLimitMb: options.heapLimitMb ?? HEAP_LIMIT_MB,
      quarantineMs: (options.longestStepMs ?? LONGEST_STEP_MS) + options.cancelGraceMs,
      onMessage: (message: LogMessage | SpansMessage) =>
        message.type === "log" ? options.onLog?.(message) : options.onSpans?.(message.spans),
      onFault: (message: string, error: unknown) => options.onFault?.(message, error),
    };
    const pool = (name: "shared" | "exclusive", threads: number, onDemand: boolean) =>
      new ThreadPool({
        ...common,
        name,
        threads,
        onDemand,
        onReplaced: (thread: PoolThread, reason: ReplaceReason) => {
          this.#replaced.set(reason, (this.#replaced.get(reason) ?? 0) + 1);
          options.onReplaced?.(name, thread.id, reason);
        },
      });
    this.#shared = pool("shared", options.threads, false);
    this.#exclusive = pool("exclusive", options.cpuThreads, onDemand);
    this.#exclusiveCapacity = new Capacity(options.cpuThreads, options.waiting);
    if (onDemand) void this.#learnHoldsFromReady();
    this.#watchdog = new CancellationWatchdog({
      graceMs: options.cancelGraceMs,
      board,
      tracker,
      giveUp: (step) => (step.spec.computes ? this.#exclusive : this.#shared).giveUp(step),
    });
    this.#parts = {
      board,
      slots: this.#slots,
      watchdog: this.#watchdog,
      shared: this.#shared,
      exclusive: this.#exclusive,
      exclusiveCapacity: this.#exclusiveCapacity,
    };
    this.longSteps = new LongSteps(this.#pools().map(({ steps }) => steps));
    this.#heartbeat = new HeartbeatWatch(tracker, this.#pools(), options.startTimeoutMs);
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

  open(scope: CancelScope, urgency: number = DEFAULT_URGENCY): StepGroup {
    return new DispatchedGroup(this.#parts, scope, urgency);
  }

  /** The exclusive pool's threads as a capacity: steps that compute hold one each, or wait for one. */
  get exclusive(): CapacityView {
    return this.#exclusiveCapacity;
  }

  /** What runs and ever ran, from the threads' own counters. */
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

  /** How many threads were replaced, by reason. */
  replaced(): ReadonlyMap<ReplaceReason, number> {
    return this.#replaced;
  }

  /** Everything that must be zero when no order is in flight. */
  counters(): { slots: number; unsettled: number; exclusivePermits: number; exclusiveWaiting: number; watchedGroups: number } {
    return {
      slots: this.#slots.inUse,
      unsettled: this.#shared.steps.size + this.#exclusive.steps.size,
      exclusivePermits: this.#exclusiveCapacity.inUse,
      exclusiveWaiting: this.#exclusiveCapacity.waiting,
      watchedGroups: this.#watchdog.size,
    };
  }

  /** Terminates the busiest thread, or an idle one where none is busy. Returns its id, undefined when none is up. */
  killThread(): number | undefined {
    const busiest = this.#pools()
      .flatMap((pool) => pool.threads)
      .filter(({ leaving }) => leaving === undefined)
      .sort((a, b) => b.inFlight - a.inFlight)[0];
    busiest?.kill("chaos");
    return busiest?.id;
  }

  inspectable(threadId: number): ReturnType<InspectableThreads["inspectable"]> {
    for (const pool of this.#pools()) {
      const thread = pool.threads.find(({ id, leaving }) => id === threadId && leaving === undefined);
      if (thread !== undefined) return { thread, goesOn: () => pool.lookAtWaiting() };
    }
    return undefined;
  }

  /** Ends all threads; steps still running are lost. Drain first. */
  async close(): Promise<void> {
    this.#heartbeat.close();
    this.#watchdog.close();
    await Promise.all(this.#pools().map((pool) => pool.close()));
  }

  /** What the first steps wait for the threads to start says nothing of how long the next ones will compute. */
  async #learnHoldsFromReady(): Promise<void> {
    this.#exclusiveCapacity.usableSinceMs = Number.POSITIVE_INFINITY;
    // Threads that do not start are told of elsewhere.
    await this.#exclusive.ready().catch(() => {});
    this.#exclusiveCapacity.usableSinceMs = monotonicMs();
  }

  #pools(): readonly ThreadPool[] {
    return [this.#shared, this.#exclusive];
  }
}
