import type { CancelScope } from "../concurrency/cancel-scope.ts";
import type { InspectableThreads } from "../diagnosis/inspected-thread.ts";
import { LongSteps } from "../diagnosis/long-steps.ts";
import type { StepGroup, StepRunner } from "../orders/step-runner.ts";
import { Capacity, type CapacityOptions } from "../permits/capacity.ts";
import { DEFAULT_URGENCY } from "../permits/urgency.ts";
import { CancelBoard } from "./cancel-board.ts";
import { CancellationWatchdog } from "./cancellation-watchdog.ts";
import type { DispatchedStep } from "./dispatched-step.ts";
import { HeartbeatWatch } from "./heartbeat-watch.ts";
import { Layout } from "./layout.ts";
import type { PoolName, ThreadOptions } from "./piscina-threads.ts";
import type { ReplaceReason } from "./pool-thread.ts";
import { Slots } from "./slots.ts";
import { DispatchedGroup, type GroupParts } from "./step-group.ts";
import { ThreadPool } from "./thread-pool.ts";
import { type ThreadCounts, type Totals, Tracker } from "./tracker.ts";

export interface ThreadRuntimeOptions extends ThreadOptions {
  /** Threads of the shared pool, 1 or more. */
  readonly threads: number;
  /** Threads of the exclusive pool, 1 or more. */
  readonly cpuThreads: number;
  /** Whether the exclusive pool starts only with the first step that computes. Many services never have one. */
  readonly cpuThreadsOnDemand?: boolean;
  /** How steps wait for a thread of the exclusive pool. */
  readonly waiting?: CapacityOptions;
  /** Groups of steps that may be open at one time. */
  readonly maxGroups: number;
  /** How long a thread may take to load its worker file. */
  readonly startTimeoutMs?: number;
}

/** One thread as `/debug/threads` shows it. */
export interface ThreadView extends ThreadCounts {
  readonly id: number;
  readonly pool: string;
}

/** The step runner of the service: both pools, the shared memory and what watches the threads. Main thread only. */
export class ThreadRuntime implements StepRunner, InspectableThreads {
  readonly #tracker: Tracker;
  readonly #parts: GroupParts;
  readonly #pools: readonly ThreadPool[];
  readonly #heartbeat: HeartbeatWatch;
  readonly #replaced = new Map<ReplaceReason, number>();
  /** The steps of both pools that have run for long. */
  readonly longSteps: LongSteps;

  private constructor(options: ThreadRuntimeOptions) {
    const { threads, cpuThreads, cpuThreadsOnDemand: onDemand = false, maxGroups, cancelGraceMs: graceMs } = options;
    // Three rows a thread: for itself, for its replacement while its own row is being settled, and for one in quarantine.
    const layout = Layout.allocate({ slots: maxGroups, rows: 3 * (threads + cpuThreads) });
    const board = CancelBoard.create(layout);
    const slots = new Slots(board, maxGroups);
    const tracker = new Tracker(layout);
    const onReplaced = (pool: PoolName, threadId: number, reason: ReplaceReason) => {
      this.#replaced.set(reason, (this.#replaced.get(reason) ?? 0) + 1);
      options.onReplaced?.(pool, threadId, reason);
    };
    const common = { ...options, onReplaced, layout: layout.handle, board, slots, tracker };
    const shared = new ThreadPool({ ...common, name: "shared", threads, onDemand: false });
    const exclusive = new ThreadPool({ ...common, name: "exclusive", threads: cpuThreads, onDemand });
    const giveUp = (step: DispatchedStep) => (step.spec.computes ? exclusive : shared).giveUp(step);
    const watchdog = new CancellationWatchdog({ graceMs, board, tracker, giveUp });
    const exclusiveCapacity = new Capacity(cpuThreads, options.waiting);
    this.#tracker = tracker;
    this.#pools = [shared, exclusive];
    this.#parts = { board, slots, watchdog, shared, exclusive, exclusiveCapacity };
    // The first steps wait for the threads to start. That wait says nothing about how long the next steps will compute.
    if (onDemand) void exclusiveCapacity.held.measureFrom(exclusive.threads.ready());
    this.longSteps = new LongSteps(slots);
    this.#heartbeat = new HeartbeatWatch(tracker, [shared.threads, exclusive.threads], options.startTimeoutMs);
  }

  /** Starts the threads and resolves when all that are not on demand are up. Rejects when they cannot be started, with none left. */
  static async start(options: ThreadRuntimeOptions): Promise<ThreadRuntime> {
    const runtime = new ThreadRuntime(options);
    const { shared, exclusive } = runtime.#parts;
    try {
      await Promise.all([shared.threads.ready(), options.cpuThreadsOnDemand || exclusive.threads.ready()]);
      return runtime;
    } catch (error) {
      await runtime.close();
      throw error;
    }
  }

  open(scope: CancelScope, urgency: number = DEFAULT_URGENCY): StepGroup {
    return new DispatchedGroup(this.#parts, scope, urgency);
  }

  /** The exclusive pool's threads as a capacity: each step that computes holds a permit for one, or waits for it. */
  get exclusive(): Capacity {
    return this.#parts.exclusiveCapacity;
  }

  /** What runs and ever ran, from the threads' own counters. */
  totals(): Totals {
    return this.#tracker.totals();
  }

  threads(): ThreadView[] {
    return this.#pools.flatMap((pool) =>
      pool.threads
        .loaded()
        .flatMap(({ id, row }) => (row === undefined ? [] : [{ id, pool: pool.threads.name, ...this.#tracker.read(row) }])),
    );
  }

  /** How many threads were replaced, by reason. */
  replaced(): ReadonlyMap<ReplaceReason, number> {
    return this.#replaced;
  }

  /** Everything that must be zero when no order is in flight. */
  counters() {
    const { slots, exclusiveCapacity, watchdog } = this.#parts;
    return {
      slots: slots.inUse,
      unsettled: slots.unsettled().length,
      exclusivePermits: exclusiveCapacity.inUse,
      exclusiveWaiting: exclusiveCapacity.waiting,
      watchedGroups: watchdog.size,
    };
  }

  /** Terminates the busiest thread, or an idle one where none is busy. Returns its id, undefined when none is up. */
  killThread(): number | undefined {
    const threads = this.#pools.flatMap((pool) => pool.threads.loaded()).filter(({ leaving }) => leaving === undefined);
    const [busiest] = threads.sort((a, b) => b.inFlight - a.inFlight);
    busiest?.kill("chaos");
    return busiest?.id;
  }

  inspectable(threadId: number): ReturnType<InspectableThreads["inspectable"]> {
    for (const pool of this.#pools) {
      const thread = pool.threads.loaded().find(({ id, leaving }) => id === threadId && leaving === undefined);
      if (thread !== undefined) return { thread, goesOn: () => pool.lookAtWaiting() };
    }
    return undefined;
  }

  /** Ends all threads; steps still running are lost. Drain first. */
  async close(): Promise<void> {
    this.#heartbeat.close();
    this.#parts.watchdog.close();
    await Promise.all(this.#pools.map((pool) => pool.close()));
  }
}
