import { type MetricSources, Metrics } from "../../src/admin/metrics.ts";
import type { Backlog } from "../../src/orders/operator-journal.ts";
import { perStep } from "../../src/orders/steps.ts";

const NOTHING = { inUse: 0, waiting: 0 };
export const NO_BACKLOG: Backlog = { compensations: perStep(() => ({ count: 0 })), events: { count: 0 }, deadLetters: 0, bytes: 0 };

/** What `/metrics` asks of a service in which nothing happens. */
export const QUIET: Omit<MetricSources, "backlog" | "webhooks"> = {
  threads: {
    statistics: () => ({ running: 0, started: 0, finished: 0, threads: [], replaced: new Map() }),
  },
  orderService: { inFlight: 0 },
  capacities: perStep(() => NOTHING),
  circuitState: () => "closed",
  admission: { limit: 1, refused: { deadline: 0, limit: 0, max_in_flight: 0 } },
  listeners: () => [],
  journalHealthy: () => true,
};

/** What `/metrics` says of nodes, on PostgreSQL only. */
export async function metricsOfNodes(nodes: MetricSources["nodes"] = async () => []): Promise<string> {
  const { text } = await new Metrics().scrape({ ...QUIET, backlog: async () => NO_BACKLOG, nodes });
  return text.replaceAll(/^(?!nodes[ {]|# (?:HELP|TYPE) nodes ).*\n/gm, "");
}
