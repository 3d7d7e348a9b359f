import type { CancelCause } from "../concurrency/cancel-cause.ts";
import { monotonicMs } from "../concurrency/clock.ts";
import type { EndedStep, StepInput, StepOutcome } from "../orders/step.ts";
import type { StepSpec } from "../orders/step-runner.ts";
import type { PoolThread } from "./pool-thread.ts";
import type { StepMessage } from "./protocol.ts";

/** Who dispatched a step and keeps count of it. */
export interface StepOwner {
  readonly deadlineMs: number | undefined;
  readonly scopeCause: CancelCause | undefined;
  /** Called once, before anybody learns the outcome. */
  stepSettled(step: DispatchedStep): void;
}

/** One step from the moment the runtime takes it until it has settled. Main thread. */
export class DispatchedStep {
  /** Given by the table of its pool. */
  id = 0;
  readonly slot: number;
  readonly spec: StepSpec;
  readonly input: StepInput;
  /** The thread it was sent to; undefined while it waits for one. */
  thread: PoolThread | undefined;
  repeats = 0;
  /** The one before it in the same run. */
  older: DispatchedStep | undefined;
  readonly #owner: StepOwner;
  #resolve: ((ended: EndedStep) => void) | undefined;

  constructor(slot: number, spec: StepSpec, input: StepInput, owner: StepOwner, resolve: (ended: EndedStep) => void) {
    this.slot = slot;
    this.spec = spec;
    this.input = input;
    this.#owner = owner;
    this.#resolve = resolve;
  }

  /** Why the run was canceled as far as the main thread knows. */
  get scopeCause(): CancelCause | undefined {
    return this.#owner.scopeCause;
  }

  get settled(): boolean {
    return this.#resolve === undefined;
  }

  /** Made for each sending and not kept. */
  message(): StepMessage {
    const { name, action } = this.spec;
    return [this.id, this.slot, name, action, this.#owner.deadlineMs ?? null, this.input];
  }

  /** It goes to this thread, or back to where it waits for one. */
  moveTo(thread: PoolThread | undefined): void {
    if (this.thread !== undefined) this.thread.inFlight--;
    if (thread !== undefined) thread.inFlight++;
    this.thread = thread;
  }

  /** Ends the step. Only the first call counts: an outcome that was on its way when the thread died may come too late. */
  settle(outcome: StepOutcome, endedAtMs: number = monotonicMs(), startedAtMs?: number): void {
    const resolve = this.#resolve;
    if (resolve === undefined) return;
    this.#resolve = undefined;
    if (this.thread !== undefined) this.thread.inFlight--;
    // An earlier run that was lost with its thread may have had its effect, whatever the last one says of itself.
    const known = this.repeats > 0 && outcome.status !== "ok" ? { ...outcome, effect: "unknown" as const } : outcome;
    this.#owner.stepSettled(this);
    resolve({ outcome: known, endedAtMs, startedAtMs, threadId: this.thread?.id });
  }
}
