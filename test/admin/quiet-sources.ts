import type { MetricSources } from "../../src/admin/metrics.ts";

const NOTHING = { inUse: 0, waiting: 0 };

/** What `/metrics` asks of a service in which nothing happens. */
export const QUIET: Omit<MetricSources, "backlog" | "ordersInFlight" | "threads" | "webhooks"> = {
  stepsRunning: () => 0,
  threadsReplaced: () => new Map(),
  capacities: { payment: NOTHING, vendor: NOTHING, courier: NOTHING },
  circuitState: () => "closed",
  journalHealthy: () => true,
};
