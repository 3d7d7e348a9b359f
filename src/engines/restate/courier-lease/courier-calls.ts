import type { CancelCause } from "../../../orders/cancel-cause.ts";
import type { AttemptInput, EndedStep } from "../../../orders/step.ts";
import type { StepGroup, StepRunner, StepSpec } from "../../../orders/step-runner.ts";
import { CancelScope, monotonicMs } from "../../../threads/index.ts";

/**
 * Runs steps by another runner, and no more courier calls at a time than the lease allows. When the lease expires, calls under way are cut
 * off, and made again with the same idempotency key once there is a lease. The order only takes longer; its deadline ends it as always.
 * Main thread only.
 */
export class CourierCalls implements StepRunner {
  readonly #runner: StepRunner;
  readonly #held: () => number;
  // At most as many as there are couriers, so a search is cheap.
  readonly #underWay: CancelScope[] = [];
  readonly #paused = new Set<() => void>();

  /** `held`: how many couriers may be used now. */
  constructor(runner: StepRunner, held: () => number) {
    this.#runner = runner;
    this.#held = held;
  }

  open(scope: CancelScope<CancelCause>, urgency?: number): StepGroup {
    const steps = this.#runner.open(scope, urgency);
    return {
      run: (step, input) => (isCourierCall(step) ? this.#run(scope, urgency, step, input) : steps.run(step, input)),
      close: () => steps.close(),
    };
  }

  /** Ends the calls under way now; their steps go on when there is a lease. */
  readonly cutOff = (): void => {
    for (const scope of [...this.#underWay]) scope.cancel("deadline");
  };

  /** To be called when calls that wait for a lease may go on. */
  readonly resume = (): void => {
    for (const goOn of [...this.#paused].slice(0, Math.max(0, this.#held() - this.#underWay.length))) goOn();
  };

  async #run(scope: CancelScope<CancelCause>, urgency: number | undefined, step: StepSpec, input: AttemptInput): Promise<EndedStep> {
    for (let inDoubt = false; ; ) {
      // A step may have its permit and call again after a pause: the lease may have expired in between.
      while (scope.cause === undefined && this.#underWay.length >= this.#held()) await this.#pause(scope);
      if (scope.cause !== undefined) {
        return { outcome: { status: "canceled", cause: scope.cause, effect: inDoubt ? "unknown" : "none" }, endedAtMs: monotonicMs() };
      }
      const own = new CancelScope<CancelCause>();
      const ended = await this.#call(scope, own, urgency, step, input);
      const { outcome } = ended;
      const wasCutOff = outcome.status === "canceled" && own.cause !== undefined && scope.cause === undefined;
      if (!wasCutOff) return inDoubt && outcome.status !== "ok" ? { ...ended, outcome: { ...outcome, effect: "unknown" } } : ended;
      inDoubt ||= outcome.effect === "unknown";
    }
  }

  /** Runs the call in a group of its own, so that it can be cut off without the order. */
  async #call(
    scope: CancelScope<CancelCause>,
    own: CancelScope<CancelCause>,
    urgency: number | undefined,
    step: StepSpec,
    input: AttemptInput,
  ): Promise<EndedStep> {
    const linked = own.link(scope);
    const group = this.#runner.open(own, urgency);
    this.#underWay.push(own);
    try {
      return await group.run(step, input);
    } finally {
      this.#underWay.splice(this.#underWay.indexOf(own), 1);
      linked.unsubscribe();
      group.close();
      this.resume();
    }
  }

  /** Resolves when there may be a lease, or the order is canceled. */
  async #pause(scope: CancelScope<CancelCause>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const listening = scope.onCancel(() => resolve());
    this.#paused.add(resolve);
    await promise;
    this.#paused.delete(resolve);
    listening.unsubscribe();
  }
}

function isCourierCall({ name, action }: StepSpec): boolean {
  return name === "courier" && action === "perform";
}
