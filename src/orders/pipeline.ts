import type { CancelScope } from "../concurrency/cancel-scope.ts";
import type { Capacity } from "../concurrency/capacity.ts";
import { monotonicMs } from "../concurrency/clock.ts";
import { TaskGroup, type TaskOutcome } from "../concurrency/task-group.ts";
import { errorOf, type OrderOutcome } from "./outcome.ts";
import { type EndedStep, STEPS, type StepInput, type StepName } from "./step.ts";
import type { StepRun, StepRunner } from "./step-runner.ts";

/** Runs the three steps of an order in parallel: the first failure, or the order's scope, cancels the rest. */
export class Pipeline {
  readonly #runner: StepRunner;
  readonly #capacities: Readonly<Record<StepName, Capacity>>;

  constructor(runner: StepRunner, capacities: Readonly<Record<StepName, Capacity>>) {
    this.#runner = runner;
    this.#capacities = capacities;
  }

  /**
   * Resolves when every step has ended, so nothing of the order runs afterwards. `scope` carries the deadline, the
   * client's hang-up and the shutdown. Does not reject for anything that a step, a thread or a client does.
   */
  async run(input: StepInput, scope: CancelScope): Promise<OrderOutcome> {
    const startedAtMs = monotonicMs();
    await using group = new TaskGroup<EndedStep>({ parent: scope, isFailure });
    const run = this.#runner.open(group.scope);
    for (const name of STEPS) group.spawn((groupScope) => this.#step(name, input, run, groupScope));
    const { outcomes, firstFailure, cause } = await group.join();
    run.close();
    const ended = outcomes.map(endOf);
    const steps = STEPS.map((name, index) => {
      const { outcome, endedAtMs } = ended[index] as EndedStep;
      return { name, outcome, endedAtMs, durationMs: Math.max(0, Math.round(endedAtMs - startedAtMs)) };
    });
    const error = errorOf(
      ended.map(({ outcome }) => outcome),
      firstFailure,
      cause,
    );
    return error === undefined ? { steps } : { steps, error };
  }

  async #step(name: StepName, input: StepInput, run: StepRun, scope: CancelScope): Promise<EndedStep> {
    const capacity = this.#capacities[name];
    // Held until the step has really ended, which for a step on a lost thread is that thread's exit.
    using _permit = capacity.tryAcquire() ?? (await capacity.acquire(scope));
    const computes = (input.simulation?.cpuMs?.[name] ?? 0) > 0;
    return await run.run({ name, action: "do", computes, repeatable: false }, input);
  }
}

function isFailure({ outcome }: EndedStep): boolean {
  return outcome.status === "failed" || outcome.status === "lost";
}

function endOf(task: TaskOutcome<EndedStep>): EndedStep {
  switch (task.status) {
    case "ok":
      return task.value;
    case "canceled":
      // Canceled while it waited for capacity, or before: it never reached a thread.
      return { outcome: { status: "canceled", cause: task.cause, effect: "none" }, endedAtMs: monotonicMs() };
    case "failed":
      // A bug in the runner; whether the step ran is anyone's guess.
      return { outcome: { status: "lost", reason: String(task.error), effect: "unknown" }, endedAtMs: monotonicMs() };
  }
}
