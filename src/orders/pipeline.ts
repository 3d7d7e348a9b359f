import type { CancelScope } from "../concurrency/cancel-scope.ts";
import type { Capacity, Permit } from "../concurrency/capacity.ts";
import { monotonicMs } from "../concurrency/clock.ts";
import { type GroupResult, TaskGroup, type TaskOutcome } from "../concurrency/task-group.ts";
import { DEFAULT_URGENCY } from "../concurrency/urgency.ts";
import { errorOf, type OrderOutcome } from "./outcome.ts";
import { Probes } from "./probes.ts";
import { CIRCUIT_OPEN, ProviderCall } from "./provider-call.ts";
import type { ProviderHealths } from "./provider-health.ts";
import { type EndedStep, STEPS, type StepInput, type StepName, type StepOutcome } from "./step.ts";
import type { StepGroup, StepRunner, StepSpec } from "./step-runner.ts";

const WAITING = specs(false);
const COMPUTING = specs(true);

/** How a step that is to be remembered is run: begins it with `start`, or knows its end from before. Never rejects. */
export type StepAround = (name: StepName, group: CancelScope, start: () => Promise<EndedStep>) => Promise<EndedStep>;

/** Runs the three steps of an order in parallel: the first failure, or the order's scope, cancels the rest. */
export class Pipeline {
  readonly #runner: StepRunner;
  readonly #capacities: Readonly<Record<StepName, Capacity>>;
  readonly #providers: ProviderHealths | undefined;
  #computingBehind = 0;

  constructor(runner: StepRunner, capacities: Readonly<Record<StepName, Capacity>>, providers: ProviderHealths = {}) {
    this.#runner = runner;
    this.#capacities = capacities;
    // Looked at once an order: where all are simulated, an order costs what it did without any of this.
    this.#providers = STEPS.some((name) => providers[name] !== undefined) ? providers : undefined;
  }

  /** Steps that wait for a capacity and will want a thread of their own once they have it. */
  get computingBehind(): number {
    return this.#computingBehind;
  }

  /**
   * Resolves when every step has ended, so nothing of the order runs afterwards. `scope` carries the deadline, the
   * client's hang-up and the shutdown; `urgency`, 0 (most) to 7, counts where a step waits. An order that a provider's circuit
   * refuses makes no call at all. `around` is given every step instead of its being begun. Throws when the runner has no room; does not
   * reject for anything that a step, a thread or a client does.
   *
   * Promises are passed on as they are, from here to the dispatched step: ten thousand orders may wait for minutes. An `await` here and in
   * the attempt runner keeps 7 % more of a waiting order (`npm run bench:tricks`).
   */
  run(input: StepInput, scope: CancelScope, urgency: number = DEFAULT_URGENCY, around?: StepAround): Promise<OrderOutcome> {
    const startedAtMs = monotonicMs();
    const refusing = this.#providers === undefined || scope.cause !== undefined ? undefined : circuitThatRefuses(this.#providers);
    if (refusing !== undefined && around === undefined) return Promise.resolve(refusedBy(refusing, startedAtMs));
    // Each is held until its step has ended, which for a step on a lost thread is that thread's exit. Of a step that ignores its cancel
    // and is given up nobody waits for the end: its provider may for a while have one call more than the limit.
    const held = new Array<Permit | undefined>(STEPS.length);
    const group = new TaskGroup<EndedStep>({ parent: scope, isFailure, onTaskEnded: (index) => held[index]?.release() });
    const steps = this.#runner.open(group.scope, urgency);
    const probes = this.#providers === undefined ? undefined : Probes.needed(this.#providers);
    for (let index = 0; index < STEPS.length; index++) {
      const name = STEPS[index] as StepName;
      const hold = (permit: Permit) => (held[index] = permit);
      if (around !== undefined) {
        const begin = (groupScope: CancelScope) =>
          refusing === undefined ? this.#stepAlone(name, input, steps, groupScope, urgency) : Promise.resolve(refusedStep(name, refusing));
        group.spawn((groupScope) => around(name, groupScope, () => begin(groupScope)));
      } else if (probes === undefined) group.spawn((groupScope) => this.#step(name, input, steps, groupScope, urgency, hold));
      else group.spawn((groupScope) => probes.spawn(name, groupScope, () => this.#step(name, input, steps, groupScope, urgency, hold)));
    }
    return group.join().then((result) => {
      steps.close();
      return outcomeOf(result, startedAtMs, group.scope.canceledAtMs);
    });
  }

  /** A step that may begin when its task has ended already, so it gives its permit back itself. */
  async #stepAlone(name: StepName, input: StepInput, steps: StepGroup, scope: CancelScope, urgency: number): Promise<EndedStep> {
    let held: Permit | undefined;
    try {
      return await this.#step(name, input, steps, scope, urgency, (permit) => (held = permit));
    } finally {
      held?.release();
    }
  }

  /** `hold` takes the step's permit, once there is one. */
  #step(
    name: StepName,
    input: StepInput,
    steps: StepGroup,
    scope: CancelScope,
    urgency: number,
    hold: (permit: Permit) => void,
  ): Promise<EndedStep> {
    const capacity = this.#capacities[name];
    const permit = capacity.tryAcquire();
    if (permit === undefined) return this.#stepOnceGranted(capacity.acquire(scope, urgency), name, input, steps, scope, hold);
    hold(permit);
    return this.#run(name, input, steps, scope);
  }

  /** Apart from `#step`, so that what this keeps for later costs nothing where nobody waits. */
  #stepOnceGranted(
    late: Promise<Permit>,
    name: StepName,
    input: StepInput,
    steps: StepGroup,
    scope: CancelScope,
    hold: (permit: Permit) => void,
  ): Promise<EndedStep> {
    const start = (granted: Permit) => {
      hold(granted);
      return this.#run(name, input, steps, scope);
    };
    return computes(name, input) ? this.#countBehind(late).then(start) : late.then(start);
  }

  async #countBehind(late: Promise<Permit>): Promise<Permit> {
    this.#computingBehind++;
    try {
      return await late;
    } finally {
      this.#computingBehind--;
    }
  }

  #run(name: StepName, input: StepInput, steps: StepGroup, scope: CancelScope): Promise<EndedStep> {
    const spec = computes(name, input) ? COMPUTING[name] : WAITING[name];
    const health = this.#providers?.[name];
    return health === undefined ? steps.run(spec, input) : new ProviderCall({ name, health, spec, input, steps, scope }).begin();
  }
}

/** The first step whose provider takes no call now. */
function circuitThatRefuses(providers: ProviderHealths): StepName | undefined {
  for (const name of STEPS) if (providers[name]?.circuit.admits === false) return name;
  return undefined;
}

function refusedBy(refusing: StepName, startedAtMs: number): OrderOutcome {
  const endedAtMs = monotonicMs();
  const durationMs = Math.max(0, Math.round(endedAtMs - startedAtMs));
  const steps = STEPS.map((name) => ({ name, ...refusedStep(name, refusing), endedAtMs, durationMs }));
  return { steps, startedAtMs, error: CIRCUIT_OPEN[refusing], canceled: { cause: "sibling_failed", atMs: endedAtMs } };
}

function refusedStep(name: StepName, refusing: StepName): EndedStep {
  const outcome: StepOutcome =
    name === refusing
      ? { status: "failed", kind: CIRCUIT_OPEN[refusing], effect: "none" }
      : { status: "canceled", cause: "sibling_failed", effect: "none" };
  return { outcome, endedAtMs: monotonicMs() };
}

function computes(name: StepName, input: Pick<StepInput, "simulation">): boolean {
  return (input.simulation?.cpuMs?.[name] ?? 0) > 0;
}

/** How many steps of an order will want a thread of their own. */
export function computingSteps(input: Pick<StepInput, "simulation">): number {
  if (input.simulation?.cpuMs === undefined) return 0;
  let count = 0;
  for (const name of STEPS) if (computes(name, input)) count++;
  return count;
}

function specs(computes: boolean): Record<StepName, StepSpec> {
  const spec = (name: StepName): StepSpec => ({ name, action: "perform", computes, retryable: false });
  return { payment: spec("payment"), vendor: spec("vendor"), courier: spec("courier") };
}

function outcomeOf(
  { outcomes, firstFailure, cause }: GroupResult<EndedStep>,
  startedAtMs: number,
  canceledAtMs: number | undefined,
): OrderOutcome {
  const ended = outcomes.map(endOf);
  const steps = STEPS.map((name, index) => {
    const { outcome, endedAtMs, startedAtMs: beganAtMs, threadId } = ended[index] as EndedStep;
    const durationMs = Math.max(0, Math.round(endedAtMs - startedAtMs));
    return { name, outcome, durationMs, startedAtMs: beganAtMs, endedAtMs, threadId };
  });
  const failure = earliestFailure(ended, firstFailure);
  const error = errorOf(
    ended.map(({ outcome }) => outcome),
    failure,
    cause,
  );
  if (error === undefined) return { steps, startedAtMs };
  // A sibling's failure cancels from its own thread, before this one hears of it.
  const atMs = cause === "sibling_failed" && failure !== undefined ? ended[failure]?.endedAtMs : canceledAtMs;
  if (cause === undefined || atMs === undefined) return { steps, startedAtMs, error };
  return { steps, startedAtMs, error, canceled: { cause, atMs } };
}

/**
 * The failure that came first on the threads' common clock, which need not be the one that was heard of first: a sibling that
 * fails because of the cancel may have its outcome here sooner.
 */
function earliestFailure(ended: readonly EndedStep[], heardFirst: number | undefined): number | undefined {
  let earliest = heardFirst;
  for (const [index, step] of ended.entries()) {
    const best = earliest === undefined ? undefined : ended[earliest];
    if (isFailure(step) && (best === undefined || step.endedAtMs < best.endedAtMs)) earliest = index;
  }
  return earliest;
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
