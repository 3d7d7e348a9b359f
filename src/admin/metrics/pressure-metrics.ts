import { STEPS, type StepName } from "../../orders/steps.ts";
import type { Family, Sample } from "./family.ts";
import type { AdmissionFigures } from "./order-metrics.ts";

/** The state of a circuit breaker. */
export type CircuitState = "closed" | "half_open" | "open";

/** Read at each scrape. */
export interface PressureSources {
  readonly ordersInFlight: () => number;
  readonly admission: AdmissionFigures;
  /** From the threads' own counters. */
  readonly stepsRunning: () => number;
  readonly threads: () => readonly { readonly pool: string }[];
  /** It has every reason from the start. */
  readonly threadsReplaced: () => ReadonlyMap<string, number>;
  readonly capacities: Readonly<Record<StepName, { readonly inUse: number; readonly waiting: number }>>;
  readonly circuitState: (step: StepName) => CircuitState;
}

// The index is the value of the metric, so that a value above 0 means trouble.
export const CIRCUIT_STATES: readonly CircuitState[] = ["closed", "half_open", "open"];
const POOLS = ["shared", "exclusive"];

/** Metrics of what runs and waits now. */
export function pressureFamilies(sources: PressureSources): Family[] {
  const gauge = (name: string, help: string, samples: () => readonly Sample[]): Family => ({ name, type: "gauge", help, samples });
  const one = (value: () => number) => () => [{ value: value() }];
  const ofSteps = (value: (step: StepName) => number) => () => STEPS.map((step) => ({ labels: { step }, value: value(step) }));
  const { ordersInFlight, admission, stepsRunning, capacities, circuitState } = sources;
  return [
    gauge("orders_in_flight", "Orders that run, and requests that wait for the answer of one.", one(ordersInFlight)),
    gauge(
      "admission_limit",
      "Orders of the usual priority that may be in flight now.",
      one(() => admission.limit),
    ),
    gauge("steps_running", "Steps and compensations that have begun on a thread and not ended.", one(stepsRunning)),
    gauge(
      "steps_waiting",
      "Steps that wait for their capacity.",
      ofSteps((step) => capacities[step].waiting),
    ),
    gauge(
      "capacity_in_use",
      "How much of a step's capacity is taken.",
      ofSteps((step) => capacities[step].inUse),
    ),
    gauge(
      "circuit_state",
      "Circuit breaker of a step's provider: 0 closed, 1 half-open, 2 open.",
      ofSteps((step) => CIRCUIT_STATES.indexOf(circuitState(step))),
    ),
    gauge("threads", "Threads that are up.", () => threadsOf(sources)),
    {
      name: "threads_replaced_total",
      type: "counter",
      help: "Threads that were replaced, by reason.",
      samples: () => [...sources.threadsReplaced()].map(([reason, value]) => ({ labels: { reason }, value })),
    },
  ];
}

function threadsOf({ threads }: PressureSources): Sample[] {
  const pools = threads().map(({ pool }) => pool);
  return POOLS.map((pool) => ({ labels: { pool }, value: pools.filter((of) => of === pool).length }));
}
