import { monotonicMs } from "../concurrency/clock.ts";
import type { AttemptInput, EndedStep, StepOutcome } from "../orders/step.ts";
import type { StepSpec } from "../orders/step-runner.ts";
import type { StepName } from "../orders/steps.ts";
import type { PoolThread } from "./pool-thread.ts";
import type { StepMessage } from "./protocol.ts";
import type { DispatchedGroup } from "./step-group.ts";

/** One step from the moment the runtime takes it until it has settled. Main thread. */
export class DispatchedStep {
  /** Grows with each step of the process. */
  readonly id: number;
  readonly spec: StepSpec;
  readonly input: AttemptInput;
  readonly owner: DispatchedGroup;
  /** The thread it was sent to; undefined while it waits for one. */
  thread: PoolThread | undefined;
  retries = 0;
  /** The step before it in the same group. */
  older: DispatchedStep | undefined;
  #resolve: ((ended: EndedStep) => void) | undefined;

  constructor(id: number, spec: StepSpec, input: AttemptInput, owner: DispatchedGroup, resolve: (ended: EndedStep) => void) {
    this.id = id;
    this.spec = spec;
    this.input = input;
    this.owner = owner;
    this.#resolve = resolve;
  }

  get settled(): boolean {
    return this.#resolve === undefined;
  }

  message(): StepMessage {
    const { slot, generation } = this.owner;
    const { name, action } = this.spec;
    const { orderId, amount, attempt, traceparent, simulation } = this.input;
    const step = name as StepName;
    const [fails, delayMs, cpuMs] = [simulation?.failStep === step, simulation?.delayMs?.[step], simulation?.cpuMs?.[step]];
    return [this.id, slot, generation, name, action, orderId, amount, attempt, traceparent, fails, delayMs, cpuMs];
  }

  /** Moves the step to a thread; undefined: back among the steps that wait for one. */
  moveTo(thread: PoolThread | undefined): void {
    if (this.thread !== undefined) this.thread.inFlight--;
    if (thread !== undefined) thread.inFlight++;
    this.thread = thread;
  }

  /** Only the first call counts. */
  settle(outcome: StepOutcome, endedAtMs: number = monotonicMs(), startedAtMs?: number): void {
    const resolve = this.#resolve;
    if (resolve === undefined) return;
    this.#resolve = undefined;
    this.thread?.stepSettled();
    // An earlier try that was lost with its thread may have had its effect, whatever the last one says of itself.
    const known = this.retries > 0 && outcome.status !== "ok" ? { ...outcome, effect: "unknown" as const } : outcome;
    this.owner.stepSettled(this, known);
    resolve({ outcome: known, endedAtMs, startedAtMs, threadId: this.thread?.id });
  }
}
