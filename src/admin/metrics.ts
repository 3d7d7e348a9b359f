import type { Registry } from "prom-client";
import { sendText } from "../http/answers.ts";
import type { Routes } from "../http/routes.ts";
import type { Backlog, NodeState, OperatorJournal } from "../orders/operator-journal.ts";
import { JournalUnavailable } from "../orders/order-journal.ts";
import { perStep, STEPS, type StepName } from "../orders/steps.ts";
import { counter, expose, gauge, Histogram, type Sample } from "./metrics/family.ts";
import { OrderMetrics } from "./metrics/order-metrics.ts";
import { backlogFamilies, type PresentSources, presentFamilies } from "./metrics/present-families.ts";

/** Read at each scrape. */
export interface MetricSources extends PresentSources {
  readonly backlog: () => Promise<Backlog>;
  /** Absent for the journal of one process. */
  readonly nodes?: () => Promise<readonly NodeState[]>;
}

// From a fast disk to one that makes every order late.
const COMMIT_SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2];

/** Node's default metrics: one registry for the process, because their observers never end. */
let ofProcess: Registry | undefined;

/** The metrics of one service, under the names in docs/operating.md. */
export class Metrics {
  readonly orders = new OrderMetrics();
  readonly #compensations = { done: perStep(() => 0), failed: perStep(() => 0) };
  readonly #commitSeconds = new Histogram(COMMIT_SECONDS);

  committed(milliseconds: number): void {
    this.#commitSeconds.observe(milliseconds / 1_000);
  }

  compensationTried(step: StepName, done: boolean): void {
    this.#compensations[done ? "done" : "failed"][step]++;
  }

  /** A scrape for Prometheus. The library is loaded at the first one, so it costs nothing where nobody reads metrics. */
  async scrape(sources: MetricSources): Promise<{ readonly contentType: string; readonly text: string }> {
    const { collectDefaultMetrics, Registry } = await import("prom-client");
    if (ofProcess === undefined) {
      ofProcess = new Registry();
      collectDefaultMetrics({ register: ofProcess });
    }
    const [backlog, nodes] = await Promise.all([orUnavailable(sources.backlog), orUnavailable(sources.nodes)]);
    const registry = new Registry();
    const families = [
      ...this.orders.families(sources.admission.refused),
      ...presentFamilies(sources),
      counter("compensations_total", "Tries of a compensation that have ended, by what came of them.", this.#compensationSamples()),
      ...backlogFamilies(backlog),
      this.#commitSeconds.family("journal_commit_seconds", "How long a commit of the journal took until it was durable."),
      ...(sources.nodes === undefined
        ? []
        : [gauge("nodes", "Nodes that live on this journal; `node` is the one that says it.", nodesOf(nodes))]),
    ];
    for (const family of families) expose(registry, family);
    return { contentType: registry.contentType, text: (await registry.metrics()) + (await ofProcess.metrics()) };
  }

  #compensationSamples() {
    return STEPS.flatMap((step) =>
      (["done", "failed"] as const).map((status) => ({ labels: { step, status }, value: this.#compensations[status][step] })),
    );
  }
}

/** `GET /metrics`, for Prometheus. It ignores parameters. */
export function metricsRoutes(metrics: Metrics, sources: MetricSources): Routes {
  return {
    "/metrics": {
      get: async (_request, response) => {
        const { contentType, text } = await metrics.scrape(sources);
        sendText(response, 200, contentType, text);
      },
    },
  };
}

const KEPT_MS = 1_000;

/** The backlog, at most a second old: frequent scrapes must not multiply the work of counting a large one. Rejects as the journal does. */
export function recentBacklog(journal: Pick<OperatorJournal, "backlog">, nowMs = () => performance.now()): () => Promise<Backlog> {
  let read: { readonly atMs: number; readonly backlog: Promise<Backlog> } | undefined;
  return () => {
    if (read === undefined || nowMs() - read.atMs >= KEPT_MS) read = { atMs: nowMs(), backlog: journal.backlog() };
    return read.backlog;
  };
}

/** Named, so that nobody has to know which address is which node. It has no name here while others have ended its life. */
function nodesOf(nodes: readonly NodeState[] | undefined): Sample[] {
  const own = nodes?.find(({ isThis }) => isThis)?.name;
  return nodes === undefined ? [] : [{ value: nodes.length, ...(own !== undefined && { labels: { node: own } }) }];
}

async function orUnavailable<T>(read: (() => Promise<T>) | undefined): Promise<T | undefined> {
  try {
    return await read?.();
  } catch (error) {
    if (error instanceof JournalUnavailable) return undefined;
    throw error;
  }
}
