import type { CancelCause } from "../concurrency/cancel-cause.ts";
import type { CancelScope, CauseArbiter } from "../concurrency/cancel-scope.ts";
import { monotonicMs } from "../concurrency/clock.ts";
import type { AttemptInput, EndedStep, StepOutcome } from "../orders/step.ts";
import type { StepGroup, StepSpec } from "../orders/step-runner.ts";
import type { Capacity } from "../permits/capacity.ts";
import type { CancelBoard } from "./cancel-board.ts";
import type { CancellationWatchdog } from "./cancellation-watchdog.ts";
import { DispatchedStep } from "./dispatched-step.ts";
import type { Slots } from "./slots.ts";
import type { ThreadPool } from "./thread-pool.ts";

/** What all groups of a runtime share. */
export interface GroupParts {
  readonly board: CancelBoard;
  readonly slots: Slots;
  readonly watchdog: CancellationWatchdog;
  readonly shared: ThreadPool;
  readonly exclusive: ThreadPool;
  /** Has one permit for each thread of the exclusive pool. */
  readonly exclusiveCapacity: Capacity;
}

/** One group's slot on the board and its dispatched steps. Main thread only. */
export class DispatchedGroup implements StepGroup, CauseArbiter {
  readonly slot: number;
  readonly generation: number;
  readonly #parts: GroupParts;
  readonly #scope: CancelScope;
  readonly #urgency: number;
  /** The step dispatched last; the others follow through `older`. */
  #newest: DispatchedStep | undefined;
  #endWatch: (() => void) | undefined;
  #open = 0;
  #closed = false;
  /** A failure on a thread canceled the group first, and neither its outcome nor its thread's death has arrived yet. */
  #failureIsDue = false;
  /** The outcome of a failed step has arrived. Its thread notified the others before, whether or not its cancel was the first. */
  #failureHasNotified = false;

  constructor(parts: GroupParts, scope: CancelScope, urgency: number) {
    this.#parts = parts;
    this.#scope = scope;
    this.#urgency = urgency;
    this.slot = parts.slots.take(this);
    this.generation = parts.board.generation(this.slot);
    scope.decideBy(this);
  }

  /** Why the group was canceled, as far as this thread has been notified, which may be later than the board knows. */
  get cause(): CancelCause | undefined {
    return this.#failureIsDue ? undefined : this.#scope.cause;
  }

  run(spec: StepSpec, input: AttemptInput): Promise<EndedStep> {
    if (this.#closed) return Promise.reject(new Error("step started in a group that is closed"));
    if (this.#scope.cause !== undefined) return Promise.resolve(neverRan(this.#scope.cause));
    this.#open++;
    return spec.computes ? this.#runExclusively(spec, input) : this.#dispatch(spec, input);
  }

  close(): void {
    if (this.#closed) throw new Error("group closed twice");
    if (this.#open > 0) throw new Error(`group closed with ${this.#open} of its steps still running`);
    this.#closed = true;
    this.#scope.decideBy(undefined);
    this.#endWatch?.();
    this.#parts.slots.giveBack(this.slot);
  }

  async #runExclusively(spec: StepSpec, input: AttemptInput): Promise<EndedStep> {
    const { exclusiveCapacity } = this.#parts;
    try {
      // Waits here, not in a queue of the pool, so that a canceled wait ends at once and its step never runs.
      using _permit = exclusiveCapacity.tryAcquire() ?? (await exclusiveCapacity.acquire(this.#scope, this.#urgency));
      return await this.#dispatch(spec, input);
    } catch (error) {
      this.#open--;
      // A canceled wait for an exclusive thread, or threads that do not start.
      if (this.#scope.cause !== undefined) return neverRan(this.#scope.cause);
      throw error;
    }
  }

  #dispatch(spec: StepSpec, input: AttemptInput): Promise<EndedStep> {
    return new Promise((resolve) => {
      const step = new DispatchedStep(++this.#parts.slots.lastStepId, spec, input, this, resolve);
      step.older = this.#newest;
      this.#newest = step;
      this.#poolOf(spec).enqueue(step);
    });
  }

  /** To be called once for each step, before anybody learns the outcome. */
  stepSettled(step: DispatchedStep, outcome: StepOutcome): void {
    this.#open--;
    if (outcome.status === "failed" && outcome.unavailable === undefined) this.#failureHasNotified = true;
    // The failure that was due, or the death that took it along: the steps that end from here on are canceled.
    if (outcome.status === "lost" || this.#failureHasNotified) this.#failureIsDue = false;
    // A step that failed has set the word, but its thread may have lost its processor before it notified the others.
    if (outcome.status === "canceled" && this.#scope.cause === undefined && this.#open > 1) this.#parts.board.notify(this.slot);
    // The exclusive pool may have a step waiting for this thread.
    this.#poolOf(step.spec).lookAtWaiting();
  }

  #poolOf({ computes }: StepSpec): ThreadPool {
    return computes ? this.#parts.exclusive : this.#parts.shared;
  }

  /** The board decides: a failure on a thread may have been first. Called once, in the scope's cancel. */
  decide(asked: CancelCause): CancelCause {
    const { board, watchdog } = this.#parts;
    const isFirst = board.cancel(this.slot, this.generation, asked);
    this.#failureIsDue = !isFirst && asked !== "sibling_failed";
    // The thread that was first may not have notified the others yet, and their grace begins here.
    if (!isFirst && !this.#failureHasNotified) board.notify(this.slot);
    const steps = this.unsettled();
    if (steps.length > 0) {
      for (const pool of new Set(steps.map(({ spec }) => this.#poolOf(spec)))) pool.lookAtWaiting();
      this.#endWatch = watchdog.watch(steps);
    }
    return isFirst ? asked : (board.causeOf(this.slot, this.generation) ?? asked);
  }

  /** Undefined for a step that has settled. */
  step(id: number): DispatchedStep | undefined {
    let step = this.#newest;
    while (step !== undefined && step.id !== id) step = step.older;
    return step?.settled === false ? step : undefined;
  }

  /** Its dispatched steps that have not settled, in the order of dispatch. */
  unsettled(): DispatchedStep[] {
    const steps: DispatchedStep[] = [];
    for (let step = this.#newest; step !== undefined; step = step.older) if (!step.settled) steps.push(step);
    return steps.reverse();
  }
}

function neverRan(cause: CancelCause): EndedStep {
  return { outcome: { status: "canceled", cause, effect: "none" }, endedAtMs: monotonicMs() };
}
