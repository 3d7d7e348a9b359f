import { type DriveResult, drive } from "./drive.ts";
import { Progress } from "./progress.ts";
import type { Scenario } from "./scenarios.ts";
import { ServerProcess } from "./server-process.ts";
import { leaksOf, settledCounters, type ThreadCounters } from "./thread-counters.ts";

const OVERLOADED = 503;

export interface ScenarioResult {
  readonly scenario: Scenario;
  readonly load: DriveResult;
  /** Undefined when the server did not answer any more. */
  readonly counters: ThreadCounters | undefined;
  /** Describes everything that was wrong. */
  readonly faults: readonly string[];
}

/** One scenario against a server of its own, from its start to its clean end. */
export async function runScenario(scenario: Scenario, connections: number, seconds: number, signal: AbortSignal): Promise<ScenarioResult> {
  const inFlight = String(2 * connections); // The orders that a client hangs up on overlap with those of the next one.
  await using server = await ServerProcess.start({
    PAYMENT_CAPACITY: inFlight,
    VENDOR_CAPACITY: inFlight,
    MAX_IN_FLIGHT: inFlight,
    MAX_CONNECTIONS: inFlight,
    ...scenario.settings,
  });
  const load = await driveWithProgress(scenario, server.orderUrl, connections, seconds, signal);
  const counters = await settledCounters(server.adminUrl).catch(() => undefined);
  const ended = await server.stop();
  return { scenario, load, counters, faults: [...faultsOf(scenario, load), ...threadFaults(counters), ...endFaults(ended)] };
}

async function driveWithProgress(scenario: Scenario, url: string, connections: number, seconds: number, signal: AbortSignal) {
  using progress = new Progress(scenario.name, seconds);
  const { order, answerHas, refusalHas } = scenario;
  return await drive({
    url,
    connections,
    seconds,
    order,
    answerHas,
    signal,
    ...(refusalHas !== undefined && { refusalHas }),
    onAnswer: progress.count,
  });
}

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

function threadFaults(counters: ThreadCounters | undefined): string[] {
  if (counters === undefined) return ["the server did not answer GET /debug/threads"];
  // No step of any scenario ignores its cancel, so there is no reason to replace a thread.
  return counters.replaced === 0 ? leaksOf(counters) : [...leaksOf(counters), `${counters.replaced} threads replaced`];
}

function endFaults(ended: string): string[] {
  return ended === "code 0" ? [] : [`the server ended with ${ended} after SIGTERM`];
}
