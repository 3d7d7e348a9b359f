import type { MetricSources } from "../../src/admin/metrics.ts";
import { perStep } from "../../src/orders/steps.ts";

const NOTHING = { inUse: 0, waiting: 0 };

/** What `/metrics` asks of a service in which nothing happens. */
export const QUIET: Omit<MetricSources, "backlog" | "ordersInFlight" | "threads" | "webhooks"> = {
  stepsRunning: () => 0,
  threadsReplaced: () => new Map(),
  capacities: perStep(() => NOTHING),
  circuitState: () => "closed",
  journalHealthy: () => true,
};
