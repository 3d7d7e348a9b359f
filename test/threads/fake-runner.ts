import { orderCause } from "../../src/orders/cancel-cause.ts";
import type { AttemptInput, EndedStep, StepOutcome } from "../../src/orders/step.ts";
import type { StepGroup, StepRunner, StepSpec } from "../../src/orders/step-runner.ts";
import { STEPS, type StepName } from "../../src/orders/steps.ts";
import { type CancelScope, monotonicMs, type Subscription } from "../../src/threads/index.ts";

/** A step that a fake runner has been asked for. */
export interface FakeStep {
  readonly spec: StepSpec;
  readonly input: AttemptInput;
  /** Ends it. A second end does nothing: the test and a cancel may both try. */
  end(outcome: StepOutcome, endedAtMs?: number, startedAtMs?: number): void;
  /** Makes the promise of `run` reject, which no runner may do. */
  break(error: unknown): void;
}

/** Runs steps in memory: each goes on until the test ends it or, unless it ignores its cancel, until its order is canceled. */
export class FakeRunner implements StepRunner {
  /** In the order in which they were asked for. */
  readonly started: FakeStep[] = [];
  readonly ignoringCancel = new Set<StepName>();
  /** Calls back with every step that is asked for. */
  onStart: ((step: FakeStep) => void) | undefined;
  /** Runs at one time; past it `open` throws. */
  room = Number.POSITIVE_INFINITY;
  opened = 0;
  closed = 0;
  running = 0;

  open(scope: CancelScope): StepGroup {
    if (this.opened - this.closed >= this.room) throw new Error("no room for one more run");
    this.opened++;
    let running = 0;
    return {
      run: (spec, input) => {
        running++;
        return this.#run(scope, spec, input, () => running--);
      },
      close: () => {
        if (running > 0) throw new Error(`closed with ${running} steps running`);
        this.closed++;
      },
    };
  }

  step(name: StepName): FakeStep {
    const found = this.started.find(({ spec }) => spec.name === name);
    if (found === undefined) throw new Error(`${name} was not started`);
    return found;
  }

  names(): string[] {
    return this.started.map(({ spec }) => spec.name);
  }

  /** Ends all that still run. */
  endAll(outcome: StepOutcome = { status: "ok" }): void {
    for (const name of STEPS) this.started.find(({ spec }) => spec.name === name)?.end(outcome);
  }

  #run(scope: CancelScope, spec: StepSpec, input: AttemptInput, onEnd: () => void): Promise<EndedStep> {
    return new Promise((resolve, reject) => {
      this.running++;
      let ended = false;
      const end = (settle: () => void) => {
        if (ended) return;
        ended = true;
        this.running--;
        onEnd();
        subscription?.unsubscribe();
        settle();
      };
      const step: FakeStep = {
        spec,
        input,
        end: (outcome, endedAtMs = monotonicMs(), startedAtMs = undefined) => end(() => resolve({ outcome, endedAtMs, startedAtMs })),
        break: (error) => end(() => reject(error)),
      };
      let subscription: Subscription | undefined;
      this.started.push(step);
      this.onStart?.(step);
      if (ended || this.ignoringCancel.has(spec.name as StepName)) return;
      subscription = scope.onCancel((cause) => step.end({ status: "canceled", cause: orderCause(cause), effect: "unknown" }));
    });
  }
}
