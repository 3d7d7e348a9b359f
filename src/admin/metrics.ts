import type { EndedOrder } from "../orders/ended-order.ts";
import type { ErrorKind } from "../orders/error-kind.ts";
import type { Backlog, NodeState } from "../orders/operator-journal.ts";
import { JournalUnavailable } from "../orders/order-journal.ts";
import type { StepName } from "../orders/steps.ts";
import { CompensationMetrics } from "./metrics/compensation-metrics.ts";
import { expose, type Family } from "./metrics/family.ts";
import { JournalMetrics } from "./metrics/journal-metrics.ts";
import { type ListenerCounts, listenerFamilies } from "./metrics/listener-metrics.ts";
import { OrderMetrics } from "./metrics/order-metrics.ts";
import { type PressureSources, pressureFamilies } from "./metrics/pressure-metrics.ts";
import type { WebhookControl } from "./webhook-routes.ts";

/** Read at each scrape. */
export interface MetricSources extends PressureSources {
  readonly backlog: () => Promise<Backlog>;
  readonly journalHealthy: () => boolean;
  /** Absent for the journal of one process. */
  readonly nodes?: () => Promise<readonly NodeState[]>;
  readonly listeners: () => readonly ListenerCounts[];
  /** Absent where no receiver is configured. */
  readonly webhooks?: Pick<WebhookControl, "state">;
  /** How many spans were not exported; absent without an exporter. */
  readonly spansDropped?: () => number;
}

/** The metrics of one service, under the names of the contract. Main thread only. */
export class Metrics {
  readonly #orders = new OrderMetrics();
  readonly #compensations = new CompensationMetrics();
  readonly #journal = new JournalMetrics();

  orderEnded(order: EndedOrder): void {
    this.#orders.ended(order);
  }

  /** An order was refused before any of its steps began. */
  orderRefused(kind: ErrorKind): void {
    this.#orders.refused(kind);
  }

  committed(milliseconds: number): void {
    this.#journal.committed(milliseconds);
  }

  compensationTried(step: StepName, done: boolean): void {
    this.#compensations.tried(step, done);
  }

  /**
   * The counters of this object and the values of the sources, for a scrape. The library for it is loaded here, so it costs no start, and no memory
   * where nobody reads metrics.
   */
  async exposition(sources: MetricSources): Promise<Exposition> {
    const { Registry } = await import("prom-client");
    const { processMetrics } = await import("./metrics/process-metrics.ts");
    const registry = new Registry();
    const families: Family[] = [
      ...this.#orders.families(sources),
      ...pressureFamilies(sources),
      ...listenerFamilies(sources.listeners),
      this.#compensations.family(),
      ...this.#journal.families(sources.journalHealthy),
      ...(sources.nodes === undefined ? [] : [this.#journal.nodesFamily()]),
      ...webhookFamilies(sources.webhooks),
      ...tracingFamilies(sources.spansDropped),
    ];
    for (const family of families) expose(registry, family);
    return {
      contentType: registry.contentType,
      text: async () => {
        const [backlog, nodes] = await Promise.all([orUnavailable(sources.backlog), orUnavailable(sources.nodes ?? nobody)]);
        this.#journal.show(backlog, nodes?.length);
        return (await registry.metrics()) + (await processMetrics().metrics());
      },
    };
  }
}

/** A scrape in the format of Prometheus. */
export interface Exposition {
  readonly contentType: string;
  /** All series with their current values. */
  text(): Promise<string>;
}

async function nobody(): Promise<undefined> {}

async function orUnavailable<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof JournalUnavailable) return undefined;
    throw error;
  }
}

function webhookFamilies(webhooks: MetricSources["webhooks"]): Family[] {
  if (webhooks === undefined) return [];
  const help = "1 while the webhook receiver takes events, 0 while it is down or has said 410.";
  return [{ name: "webhook_receiver_up", type: "gauge", help, samples: () => [{ value: webhooks.state().receiver === "up" ? 1 : 0 }] }];
}

function tracingFamilies(spansDropped: MetricSources["spansDropped"]): Family[] {
  if (spansDropped === undefined) return [];
  const help = "Spans that were not exported, for the collector was down or slow.";
  return [{ name: "spans_dropped_total", type: "counter", help, samples: () => [{ value: spansDropped() }] }];
}
