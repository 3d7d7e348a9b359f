import type { EngineProcess } from "./engine-process.ts";

/** What all nodes of the engine have done so far. */
export interface EngineWork {
  /** Calls at its ingress. */
  readonly calls: number;
  /** Handlers that it ran, each a stream to a service node. */
  readonly invocations: number;
  /** Steps whose end it wrote down. */
  readonly runs: number;
  /** Records in its logs, copies not counted. */
  readonly records: number;
  /** Writes to the disk of some log server, each with all records that waited for it. */
  readonly writes: number;
}

const COUNTERS: Readonly<Record<keyof EngineWork, RegExp>> = {
  calls: /^restate_ingress_requests_total\{.*status="completed"/,
  invocations: /^restate_invoker_invocation_tasks_total\{.*status="started"/,
  runs: /^restate_usage_leader_journal_entry_count_total\{.*entry="Completion\/Run"/,
  records: /^restate_bifrost_sequencer_committed_records_total\{/,
  writes: /^restate_log_server_write_batch_size_bytes_count\{/,
};

/** From the metrics that every engine node has at its node-to-node address. */
export async function engineWork(nodes: readonly EngineProcess[]): Promise<EngineWork> {
  const pages = await Promise.all(nodes.map(async ({ nodeUrl }) => (await fetch(new URL("/metrics", nodeUrl))).text()));
  const lines = pages.flatMap((page) => page.split("\n"));
  const sum = (counter: RegExp): number =>
    lines.reduce((total, line) => (counter.test(line) ? total + Number(line.slice(line.lastIndexOf(" ") + 1)) : total), 0);
  return {
    calls: sum(COUNTERS.calls),
    invocations: sum(COUNTERS.invocations),
    runs: sum(COUNTERS.runs),
    records: sum(COUNTERS.records),
    writes: sum(COUNTERS.writes),
  };
}
