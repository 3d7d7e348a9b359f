import { perStep } from "../../src/orders/steps.ts";
import { type DriveResult, drive } from "../drive.ts";
import { defineExperiment, eachRound, type Variant } from "../lab/experiment.ts";
import { ServerProcess } from "../server-process.ts";
import { atMost } from "../target.ts";
import { leaksOf, settledCounters } from "../thread-counters.ts";

/** One kind of load: what is sent, to a server of which settings, and the only answer that is right. */
export interface Scenario {
  readonly settings: Readonly<Record<string, string>>;
  readonly order: Readonly<Record<string, unknown>>;
  readonly status: number;
  /** In every right answer: a 400 could also be a request that was refused. */
  readonly answerHas: string;
  /** Of the other right answer, with status 503: on a machine that is slow for the deadline. */
  readonly refusalHas?: string;
}

// Far above any latency that a loaded machine gives, below autocannon's own 10 s: an order that hangs shows as a wrong status.
const NO_DEADLINE_MS = "9000";
const OVERLOADED = 503;

export const SCENARIOS = {
  "every order succeeds": {
    settings: { ORDER_TIMEOUT_MS: NO_DEADLINE_MS },
    order: { amount: 1200, delay_ms: { payment: 10, vendor: 15, courier: 5 } },
    status: 200,
    answerHas: '"status":"ok"',
  },
  "every payment is declined": {
    settings: { ORDER_TIMEOUT_MS: NO_DEADLINE_MS },
    order: { amount: 1200, fail_step: "payment", delay_ms: { payment: 5, vendor: 800, courier: 800 } },
    status: 400,
    answerHas: '"kind":"payment_declined"',
  },
  "no order is done in time": {
    settings: { ORDER_TIMEOUT_MS: "100" },
    order: { amount: 1200, delay_ms: perStep(() => 8000) },
    status: 504,
    answerHas: '"kind":"timeout"',
    refusalHas: '"kind":"overloaded"',
  },
} as const satisfies Readonly<Record<string, Scenario>>;

/** What is wrong about these answers. */
export function faultsOf({ status, answerHas }: Scenario, load: DriveResult): string[] {
  const faults: string[] = [];
  if ((load.statuses.get(status) ?? 0) === 0) faults.push(`no answer with status ${status}`);
  for (const [other, all] of load.statuses) {
    const count = other === OVERLOADED ? all - load.refused : all;
    if (other !== status && count > 0) faults.push(`${count} answers with status ${other} instead of ${status}`);
  }
  if (load.wrongBodies > 0) faults.push(`${load.wrongBodies} answers without ${answerHas}`);
  if (load.socketErrors > 0) faults.push(`${load.socketErrors} broken connections`);
  if (load.timeouts > 0) faults.push(`${load.timeouts} requests without an answer in time`);
  return faults;
}

/** A scenario against a server of its own, from its start to its clean end. */
function under(name: string, scenario: Scenario, connections: number, seconds: number): Variant {
  return eachRound(name, async ({ script }) => {
    const inFlight = String(2 * connections); // The orders that a client hangs up on overlap with those of the next one.
    const capacities = { PAYMENT_CAPACITY: inFlight, VENDOR_CAPACITY: inFlight, COURIER_CAPACITY: "128" };
    const limits = { MAX_IN_FLIGHT: inFlight, MAX_CONNECTIONS: inFlight };
    await using server = await ServerProcess.start({ ...capacities, ...limits, ...scenario.settings }, script);
    const load = await drive({ url: server.orderUrl, connections, seconds, ...scenario });
    const counters = await settledCounters(server.adminUrl);
    const ended = await server.stop();
    const faults = [...faultsOf(scenario, load), ...leaksOf(counters)];
    if (ended !== "code 0") faults.push(`the server ended with ${ended} after SIGTERM`);
    if (faults.length > 0) throw new Error(`${name}: ${faults.join("; ")}`);
    const { p50, p99, max } = load.latencyMs;
    return {
      figures: {
        "orders/s": [load.perSecond, "orders/s"],
        p50: [p50, "ms"],
        p99: [p99, "ms"],
        max: [max, "ms"],
        refused: [load.refused, ""],
        "steps started": [counters.started, ""],
        "threads replaced": [counters.replaced, ""],
      },
    };
  });
}

export const experiment = defineExperiment({
  question: "Is every answer right, and is nothing left on any thread, when all orders succeed, fail or time out?",
  defaults: { rounds: 1, duration: 10, connections: 64 },
  about: { duration: "seconds of each round", connections: "orders at one time" },
  lab: { duration: 3 },
  variants: ({ connections, duration }) =>
    Object.entries<Scenario>(SCENARIOS).map(([name, scenario]) => under(name, scenario, connections, duration)),
  // A round with a wrong answer or a leak has thrown. No step ignores its cancel, so there is no reason to replace a thread.
  targets: (seen) => Object.keys(SCENARIOS).map((name) => atMost(`${name}: threads replaced`, seen.most(name, "threads replaced"), 0)),
});
