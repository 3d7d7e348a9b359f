import { monotonicMs } from "../concurrency/clock.ts";
import type { EndedStep, StepOutcome } from "../orders/step.ts";
import type { PoolThread } from "./pool-thread.ts";
import type { StepMessage } from "./protocol.ts";

/** One step from the moment the runtime takes it until it has settled. Main thread. */
export class DispatchedStep {
  readonly message: StepMessage;
  readonly repeatable: boolean;
  /** The thread it was sent to; undefined while it waits in the next batch. */
  thread: PoolThread | undefined;
  repeats = 0;
  #settle: ((ended: EndedStep) => void) | undefined;

  constructor(message: StepMessage, repeatable: boolean, settle: (ended: EndedStep) => void) {
    this.message = message;
    this.repeatable = repeatable;
    this.#settle = settle;
  }

  get settled(): boolean {
    return this.#settle === undefined;
  }

  /** Ends the step. Only the first call counts: an outcome that was on its way when the thread died may come too late. */
  settle(outcome: StepOutcome, endedAtMs: number = monotonicMs()): void {
    const settle = this.#settle;
    if (settle === undefined) return;
    this.#settle = undefined;
    this.thread?.inFlight.delete(this.message.id);
    // An earlier run that was lost with its thread may have had its effect, whatever the last one says of itself.
    const known = this.repeats > 0 && outcome.status !== "ok" ? { ...outcome, effect: "unknown" as const } : outcome;
    settle({ outcome: known, endedAtMs });
  }
}
