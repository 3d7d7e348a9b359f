import {
  type CancelScope,
  type Capacity,
  type ChildOutcome,
  DEFAULT_PRIORITY,
  type GroupResult,
  monotonicMs,
  type Permit,
  PRIORITIES,
  TaskGroup,
} from "../threads/index.ts";
import type { CancelCause } from "./cancel-cause.ts";
import { type OrderOutcome, outcomeOfSteps } from "./outcome.ts";
import { ProbingSteps } from "./probing-steps.ts";
import { ProviderCall, refusedByCircuit } from "./provider-call.ts";
import type { ProviderHealths } from "./provider-health.ts";
import type { AttemptInput, EndedStep, StepOutcome } from "./step.ts";
import type { StepGroup, StepRunner, StepSpec } from "./step-runner.ts";
import { perStep, STEP_TABLE, STEPS, type StepName } from "./steps.ts";

const WAITING = specs(false);
const COMPUTING = specs(true);
const ALWAYS_COMPUTING: readonly StepName[] = STEPS.filter((name) => STEP_TABLE[name].computes);

interface OrderSteps {
  readonly input: AttemptInput;
  readonly priority: number;
  readonly startedAtMs: number;
  readonly group: TaskGroup<EndedStep, CancelCause>;
  readonly runner: StepGroup;
  /** By the step's index. A step's end releases its permit. */
  readonly permits: (Permit | undefined)[];
}

/** Runs the steps of an order in parallel: the first failure, or the order's scope, cancels the rest. Main thread only. */
export class Pipeline {
  readonly #runner: StepRunner;
  readonly #capacities: Readonly<Record<StepName, Capacity>>;
  readonly #providers: ProviderHealths | undefined;
  readonly #computingBehind = new Float64Array(PRIORITIES);

  constructor(runner: StepRunner, capacities: Readonly<Record<StepName, Capacity>>, providers: ProviderHealths = {}) {
    this.#runner = runner;
    this.#capacities = capacities;
    // Where all providers are simulated, an order pays for this one check and nothing else.
    this.#providers = STEPS.some((name) => providers[name] !== undefined) ? providers : undefined;
  }

  /** Steps that wait for a capacity and will want a thread of their own once they have it, by priority. */
  get computingBehind(): ArrayLike<number> {
    return this.#computingBehind;
  }

  /**
   * Resolves when every step has ended. `scope` carries the deadline, the client's hang-up and the shutdown. An order that a provider's
   * circuit refuses makes no call at all. Throws when the runner has no room. Does not reject for anything that a step or a client does.
   *
   * Promises are passed on as they are, from here to the dispatched step: an `await` here and in the attempt runner keeps 9 % more of a
   * waiting order (docs/performance.md).
   */
  run(input: AttemptInput, scope: CancelScope<CancelCause>, priority: number = DEFAULT_PRIORITY): Promise<OrderOutcome> {
    const startedAtMs = monotonicMs();
    const refused = this.#refuse(scope, startedAtMs);
    if (refused !== undefined) return Promise.resolve(refused);
    const order = this.#open(input, scope, priority, startedAtMs);
    const probes = this.#providers === undefined ? undefined : ProbingSteps.needed(this.#providers);
    // One closure for all steps of an order.
    const start = (groupScope: CancelScope<CancelCause>, index: number) =>
      probes === undefined ? this.#step(index, order) : probes.spawn(nameOf(index), groupScope, () => this.#step(index, order));
    for (let index = 0; index < STEPS.length; index++) order.group.spawn(start);
    return join(order, startedAtMs);
  }

  #refuse(scope: CancelScope<CancelCause>, startedAtMs: number): OrderOutcome | undefined {
    if (this.#providers === undefined || scope.cause !== undefined) return undefined;
    for (const name of STEPS) {
      const health = this.#providers[name];
      if (health?.circuit.admits === false) return refusedBy(name, refusedByCircuit(name, health), startedAtMs);
    }
    return undefined;
  }

  #open(input: AttemptInput, scope: CancelScope<CancelCause>, priority: number, startedAtMs: number): OrderSteps {
    // Each permit is held until its step has ended, which for a step on a lost thread is that thread's exit. Nobody waits for a step that
    // ignores its cancel and is given up: its provider may for a while have one call more than the limit.
    const permits = new Array<Permit | undefined>(STEPS.length);
    const onTaskEnded = (index: number) => permits[index]?.release(group.scope.cause === "deadline");
    const group = new TaskGroup<EndedStep, CancelCause>({ parent: scope, isFailure: hasFailed, onTaskEnded });
    return { input, priority, startedAtMs, group, runner: this.#runner.open(group.scope, priority), permits };
  }

  #step(index: number, order: OrderSteps): Promise<EndedStep> {
    const capacity = this.#capacities[nameOf(index)];
    const permit = capacity.tryAcquire(undefined, order.startedAtMs);
    if (permit === undefined) return this.#stepOnceGranted(capacity.acquire(order.group.scope, order.priority), index, order);
    order.permits[index] = permit;
    return this.#run(nameOf(index), order);
  }

  /** Apart from `#step`, so that its closure costs nothing where nobody waits. */
  #stepOnceGranted(late: Promise<Permit>, index: number, order: OrderSteps): Promise<EndedStep> {
    const start = (granted: Permit) => {
      order.permits[index] = granted;
      return this.#run(nameOf(index), order);
    };
    return computes(nameOf(index), order.input) ? this.#countBehind(late, order.priority).then(start) : late.then(start);
  }

  async #countBehind(late: Promise<Permit>, priority: number): Promise<Permit> {
    (this.#computingBehind[priority] as number)++;
    try {
      return await late;
    } finally {
      (this.#computingBehind[priority] as number)--;
    }
  }

  #run(name: StepName, { input, runner, group }: OrderSteps): Promise<EndedStep> {
    const spec = computes(name, input) ? COMPUTING[name] : WAITING[name];
    const health = this.#providers?.[name];
    if (health === undefined) return runner.run(spec, input);
    return new ProviderCall({ name, health, spec, input, steps: runner, scope: group.scope }).begin();
  }
}

function nameOf(index: number): StepName {
  return STEPS[index] as StepName;
}

function join({ group, runner }: OrderSteps, startedAtMs: number): Promise<OrderOutcome> {
  return group.join().then((result) => {
    runner.close();
    return outcomeOf(result, startedAtMs, group.scope.canceledAtMs);
  });
}

function refusedBy(refusing: StepName, outcome: ReturnType<typeof refusedByCircuit>, startedAtMs: number): OrderOutcome {
  const endedAtMs = monotonicMs();
  const durationMs = Math.max(0, Math.round(endedAtMs - startedAtMs));
  const canceled: StepOutcome = { status: "canceled", cause: "sibling_failed", effect: "none" };
  const steps = STEPS.map((name) => ({ name, outcome: name === refusing ? outcome : canceled, endedAtMs, durationMs }));
  return outcomeOfSteps(steps, startedAtMs, STEPS.indexOf(refusing), "sibling_failed", endedAtMs);
}

function computes(name: StepName, input: Pick<AttemptInput, "simulation">): boolean {
  return (input.simulation?.cpuMs?.[name] ?? 0) > 0 || ALWAYS_COMPUTING.includes(name);
}

/** The steps of an order that will want a thread of their own. */
export function computingSteps(input: Pick<AttemptInput, "simulation">): readonly StepName[] {
  return input.simulation?.cpuMs === undefined ? ALWAYS_COMPUTING : STEPS.filter((name) => computes(name, input));
}

function specs(computes: boolean): Record<StepName, StepSpec> {
  return perStep((name) => ({ name, action: "perform", computes, retryable: false }));
}

function outcomeOf(
  { outcomes, firstFailure, cause }: GroupResult<EndedStep, CancelCause>,
  startedAtMs: number,
  canceledAtMs: number | undefined,
): OrderOutcome {
  const steps = STEPS.map((name, index) => {
    const { outcome, endedAtMs, startedAtMs: beganAtMs, threadId } = endOf(outcomes[index] as ChildOutcome<EndedStep, CancelCause>);
    const durationMs = Math.max(0, Math.round(endedAtMs - startedAtMs));
    return { name, outcome, durationMs, startedAtMs: beganAtMs, endedAtMs, threadId };
  });
  return outcomeOfSteps(steps, startedAtMs, earliestFailure(steps, firstFailure), cause, canceledAtMs);
}

/** The failure that came first on the threads' common clock: the outcome of a sibling that fails by the cancel may arrive sooner. */
function earliestFailure(ended: readonly EndedStep[], heardFirst: number | undefined): number | undefined {
  if (heardFirst === undefined) return undefined;
  let earliest = heardFirst;
  for (const [index, step] of ended.entries()) {
    if (hasFailed(step) && step.endedAtMs < (ended[earliest] as EndedStep).endedAtMs) earliest = index;
  }
  return earliest;
}

function hasFailed({ outcome }: EndedStep): boolean {
  return outcome.status === "failed" || outcome.status === "lost";
}

function endOf(task: ChildOutcome<EndedStep, CancelCause>): EndedStep {
  switch (task.status) {
    case "ok":
      return task.value;
    case "canceled":
      // Canceled before or while it waited for its capacity: it never reached a thread.
      return { outcome: { status: "canceled", cause: task.cause, effect: "none" }, endedAtMs: monotonicMs() };
    case "failed":
      // A bug in the runner: whether the step ran is in doubt.
      return { outcome: { status: "lost", reason: String(task.error), effect: "unknown" }, endedAtMs: monotonicMs() };
  }
}
