import type { CancelCause } from "../concurrency/cancel-cause.ts";
import type { CancelScope, Unsubscribe } from "../concurrency/cancel-scope.ts";
import { Capacity } from "../concurrency/capacity.ts";
import { monotonicMs } from "../concurrency/clock.ts";
import type { EndedStep, StepInput } from "../orders/step.ts";
import type { StepRun, StepRunner, StepSpec } from "../orders/step-runner.ts";
import { CancelBoard } from "./cancel-board.ts";
import { DispatchedStep } from "./dispatched-step.ts";
import { GraceWatch } from "./grace-watch.ts";
import { HeartbeatWatch } from "./heartbeat-watch.ts";
import { Layout } from "./layout.ts";
import type { PoolThread, ReplaceReason } from "./pool-thread.ts";
import type { LogMessage } from "./protocol.ts";
import { ThreadPool } from "./thread-pool.ts";
import { type Totals, Tracker } from "./tracker.ts";

export interface ThreadRuntimeOptions {
  /** Absolute path of the worker file that Piscina loads on each thread. */
  readonly workerFile: string;
  /** Threads of the shared pool, 1 or more. */
  readonly threads: number;
  /** Threads of the exclusive pool, 1 or more. */
  readonly cpuThreads: number;
  readonly cancelGraceMs: number;
  /** Runs that may be open at one time. */
  readonly maxRuns: number;
  /** Plain data for the worker file. */
  readonly settings?: unknown;
  readonly heapLimitMb?: number;
  readonly onLog?: (message: LogMessage) => void;
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
export class ThreadRuntime implements StepRunner {
  readonly #layout: Layout;
  readonly #board: CancelBoard;
  readonly #tracker: Tracker;
  readonly #shared: ThreadPool;
  readonly #exclusive: ThreadPool;
  readonly #exclusiveCapacity: Capacity;
  readonly #grace: GraceWatch;
  readonly #heartbeat: HeartbeatWatch;
  readonly #replaced = new Map<ReplaceReason, number>();
  #nextId = 1;

  private constructor(options: ThreadRuntimeOptions) {
    // Twice as many rows as threads: a replacement claims its row while the dead thread's is still being settled.
    this.#layout = Layout.allocate(options.maxRuns, 2 * (options.threads + options.cpuThreads));
    this.#board = new CancelBoard(this.#layout);
    this.#tracker = new Tracker(this.#layout);
    const common = {
      workerFile: options.workerFile,
      setup: { layout: this.#layout.handle, settings: options.settings ?? {} },
      layout: this.#layout,
      tracker: this.#tracker,
      heapLimitMb: options.heapLimitMb ?? HEAP_LIMIT_MB,
      onMessage: (message: LogMessage) => options.onLog?.(message),
      onFault: (message: string, error: unknown) => options.onFault?.(message, error),
      onReplaced: (pool: ThreadPool, thread: PoolThread, reason: ReplaceReason) => {
        this.#replaced.set(reason, (this.#replaced.get(reason) ?? 0) + 1);
        options.onReplaced?.(pool.name, thread.id, reason);
      },
    };
    this.#shared = new ThreadPool({ ...common, name: "shared", threads: options.threads });
    this.#exclusive = new ThreadPool({ ...common, name: "exclusive", threads: options.cpuThreads });
    this.#exclusiveCapacity = new Capacity(options.cpuThreads);
    const kill = (thread: PoolThread) => void (this.#shared.kill(thread, "grace") || this.#exclusive.kill(thread, "grace"));
    this.#grace = new GraceWatch(options.cancelGraceMs, this.#layout, kill);
    this.#heartbeat = new HeartbeatWatch(this.#layout, [this.#shared, this.#exclusive]);
  }

  /** Starts the threads and resolves when all of them are up. Rejects when they cannot be started, with none left. */
  static async start(options: ThreadRuntimeOptions): Promise<ThreadRuntime> {
    const runtime = new ThreadRuntime(options);
    try {
      await Promise.all([runtime.#shared.ready(), runtime.#exclusive.ready()]);
      return runtime;
    } catch (error) {
      await runtime.close();
      throw error;
    }
  }

  open(scope: CancelScope): StepRun {
    return new ThreadRun(this.#board, this.#grace, scope, (spec, input, slot, run) => this.#dispatch(spec, input, slot, run, scope));
  }

  /** What runs and ever ran, from the threads' own books. */
  totals(): Totals {
    return this.#tracker.totals();
  }

  threads(): ThreadView[] {
    return this.#pools().flatMap((pool) =>
      pool.threads.flatMap((thread) => {
        if (thread.row === undefined) return [];
        return [{ id: thread.id, pool: pool.name, ...this.#layout.readRow(thread.row) }];
      }),
    );
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
      .sort((a, b) => b.thread.inFlight.size - a.thread.inFlight.size)[0];
    if (busiest === undefined) return undefined;
    busiest.pool.kill(busiest.thread, "chaos");
    return busiest.thread.id;
  }

  /** Ends all threads; steps still running are lost. Drain first. */
  async close(): Promise<void> {
    this.#heartbeat.close();
    this.#grace.close();
    await Promise.all(this.#pools().map((pool) => pool.close()));
  }

  #pools(): readonly ThreadPool[] {
    return [this.#shared, this.#exclusive];
  }

  async #dispatch(spec: StepSpec, input: StepInput, slot: number, run: ThreadRun, scope: CancelScope): Promise<EndedStep> {
    if (!spec.computes) return this.#send(this.#shared, spec, input, slot, run);
    // Waits here, not in a queue of the pool: a canceled wait ends at once and its step never runs.
    const permit = this.#exclusiveCapacity.tryAcquire() ?? (await this.#exclusiveCapacity.acquire(scope));
    try {
      return await this.#send(this.#exclusive, spec, input, slot, run);
    } finally {
      permit.release();
    }
  }

  #send(pool: ThreadPool, spec: StepSpec, input: StepInput, slot: number, run: ThreadRun): Promise<EndedStep> {
    return new Promise((resolve) => {
      const message = { id: this.#nextId++, slot, name: spec.name, action: spec.action, input };
      const step = new DispatchedStep(message, spec.repeatable, (ended) => {
        run.steps.delete(step);
        pool.forget(step);
        resolve(ended);
      });
      run.steps.set(step, pool);
      pool.enqueue(step);
    });
  }
}

type Dispatch = (spec: StepSpec, input: StepInput, slot: number, run: ThreadRun) => Promise<EndedStep>;

/** One run's slot on the board and its dispatched steps. */
class ThreadRun implements StepRun {
  readonly steps = new Map<DispatchedStep, ThreadPool>();
  readonly #board: CancelBoard;
  readonly #scope: CancelScope;
  readonly #slot: number;
  readonly #unsubscribe: Unsubscribe;
  readonly #dispatch: Dispatch;
  #endWatch: Unsubscribe | undefined;
  #open = 0;
  #closed = false;

  constructor(board: CancelBoard, grace: GraceWatch, scope: CancelScope, dispatch: Dispatch) {
    this.#board = board;
    this.#scope = scope;
    this.#slot = board.take();
    this.#dispatch = dispatch;
    this.#unsubscribe = scope.onCancel((cause) => {
      board.cancel(this.#slot, cause);
      if (this.steps.size === 0) return;
      for (const pool of new Set(this.steps.values())) pool.canceled();
      this.#endWatch = grace.watch([...this.steps.keys()]);
    });
  }

  async run(spec: StepSpec, input: StepInput): Promise<EndedStep> {
    if (this.#closed) throw new Error("step started in a run that is closed");
    if (this.#scope.cause !== undefined) return neverRan(this.#scope.cause);
    this.#open++;
    try {
      return await this.#dispatch(spec, input, this.#slot, this);
    } catch (error) {
      // The only throw in there is the wait for an exclusive thread that was canceled.
      if (this.#scope.cause !== undefined) return neverRan(this.#scope.cause);
      throw error;
    } finally {
      this.#open--;
    }
  }

  close(): void {
    if (this.#closed) throw new Error("run closed twice");
    if (this.#open > 0) throw new Error(`run closed with ${this.#open} of its steps still running`);
    this.#closed = true;
    this.#unsubscribe();
    this.#endWatch?.();
    this.#board.giveBack(this.#slot);
  }
}

function neverRan(cause: CancelCause): EndedStep {
  return { outcome: { status: "canceled", cause, effect: "none" }, endedAtMs: monotonicMs() };
}
