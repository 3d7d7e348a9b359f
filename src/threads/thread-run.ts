import type { CancelCause } from "../concurrency/cancel-cause.ts";
import type { CancelScope, Subscription } from "../concurrency/cancel-scope.ts";
import type { Capacity } from "../concurrency/capacity.ts";
import { monotonicMs } from "../concurrency/clock.ts";
import type { EndedStep, StepInput } from "../orders/step.ts";
import type { StepRun, StepSpec } from "../orders/step-runner.ts";
import type { CancelBoard } from "./cancel-board.ts";
import { DispatchedStep, type StepOwner } from "./dispatched-step.ts";
import type { GraceWatch } from "./grace-watch.ts";
import type { ThreadPool } from "./thread-pool.ts";

/** What all runs of a runtime share. */
export interface RunParts {
  readonly board: CancelBoard;
  readonly grace: GraceWatch;
  readonly shared: ThreadPool;
  readonly exclusive: ThreadPool;
  /** One permit a thread of the exclusive pool. */
  readonly exclusiveCapacity: Capacity;
}

/** One run's slot on the board and its dispatched steps. Main thread only. */
export class ThreadRun implements StepRun, StepOwner {
  readonly #parts: RunParts;
  readonly #scope: CancelScope;
  readonly #urgency: number;
  readonly #slot: number;
  readonly #subscription: Subscription;
  /** The step dispatched last; the others hang on it. */
  #newest: DispatchedStep | undefined;
  #endWatch: (() => void) | undefined;
  #open = 0;
  #closed = false;

  constructor(parts: RunParts, scope: CancelScope, urgency: number) {
    this.#parts = parts;
    this.#scope = scope;
    this.#urgency = urgency;
    this.#slot = parts.board.take();
    this.#subscription = scope.onCancel((cause) => this.#cancel(cause));
  }

  get cause(): CancelCause | undefined {
    return this.#parts.board.causeOf(this.#slot);
  }

  /** What this thread knows of a cancel, which may be less than the board. */
  get scopeCause(): CancelCause | undefined {
    return this.#scope.cause;
  }

  get deadlineMs(): number | undefined {
    return this.#scope.deadlineMs;
  }

  run(spec: StepSpec, input: StepInput): Promise<EndedStep> {
    if (this.#closed) return Promise.reject(new Error("step started in a run that is closed"));
    if (this.#scope.cause !== undefined) return Promise.resolve(neverRan(this.#scope.cause));
    this.#open++;
    return spec.computes ? this.#runExclusively(spec, input) : this.#dispatch(spec, input);
  }

  close(): void {
    if (this.#closed) throw new Error("run closed twice");
    if (this.#open > 0) throw new Error(`run closed with ${this.#open} of its steps still running`);
    this.#closed = true;
    this.#subscription.leave();
    this.#endWatch?.();
    this.#parts.board.giveBack(this.#slot);
  }

  async #runExclusively(spec: StepSpec, input: StepInput): Promise<EndedStep> {
    const { exclusiveCapacity } = this.#parts;
    try {
      // Waits here, not in a queue of the pool: a canceled wait ends at once and its step never runs.
      using _permit = exclusiveCapacity.tryAcquire() ?? (await exclusiveCapacity.acquire(this.#scope, this.#urgency));
      return await this.#dispatch(spec, input);
    } catch (error) {
      this.#open--;
      // The only throw in there is the wait for an exclusive thread that was canceled.
      if (this.#scope.cause !== undefined) return neverRan(this.#scope.cause);
      throw error;
    }
  }

  #dispatch(spec: StepSpec, input: StepInput): Promise<EndedStep> {
    return new Promise((resolve) => {
      const step = new DispatchedStep(this.#slot, spec, input, this, resolve);
      step.older = this.#newest;
      this.#newest = step;
      this.#poolOf(spec).enqueue(step);
    });
  }

  stepSettled(step: DispatchedStep): void {
    this.#open--;
    this.#poolOf(step.spec).forget(step);
  }

  #poolOf({ computes }: StepSpec): ThreadPool {
    return computes ? this.#parts.exclusive : this.#parts.shared;
  }

  #cancel(cause: CancelCause): void {
    const { board, grace } = this.#parts;
    // A failure on a thread was first. Its thread may not have come to the wake-up yet, and the grace begins here.
    if (!board.cancel(this.#slot, cause) && cause !== "sibling_failed") board.ring(this.#slot);
    const steps = this.#unsettled();
    if (steps.length === 0) return;
    for (const pool of new Set(steps.map(({ spec }) => this.#poolOf(spec)))) pool.canceled();
    this.#endWatch = grace.watch(steps);
  }

  #unsettled(): DispatchedStep[] {
    const steps: DispatchedStep[] = [];
    for (let step = this.#newest; step !== undefined; step = step.older) if (!step.settled) steps.push(step);
    return steps.reverse();
  }
}

function neverRan(cause: CancelCause): EndedStep {
  return { outcome: { status: "canceled", cause, effect: "none" }, endedAtMs: monotonicMs() };
}
