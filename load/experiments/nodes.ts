import { COMPENSATION_STATES } from "../../src/orders/compensation-state.ts";
import { ORDER_STATUSES } from "../../src/orders/operator-journal.ts";
import type { Service } from "../lab/closed-loop.ts";
import { startService, type WarmLoad } from "../lab/closed-loop.ts";
import { defineExperiment, type Figures, type Scope } from "../lab/experiment.ts";
import { median } from "../quantile.ts";
import { atLeast, atMost } from "../target.ts";
import { onPostgres, type Site } from "./postgres.ts";

const [ONE, TWO, THREE] = ["1 node", "2 nodes", "3 nodes"];
const BESIDE = "1 node beside ended orders";
const LOOKS = 5;
// A second in the middle of all that has ended.
const WINDOW_MS = 1_000;
const PAGES = [
  "/orders",
  ...ORDER_STATUSES.map((status) => `/orders?status=${status}`),
  ...COMPENSATION_STATES.map((state) => `/compensations?state=${state}`),
  "/dead-letters",
  "/restore",
  "/nodes",
];

interface Took {
  readonly medianMs: number;
  readonly mostMs: number;
}

async function msOf(work: () => Promise<unknown>, times = 1): Promise<Took> {
  const each: number[] = [];
  while (each.length < times) {
    const startMs = performance.now();
    await work();
    each.push(performance.now() - startMs);
  }
  return { medianMs: median(each), mostMs: Math.max(...each) };
}

async function get(node: Service, path: string): Promise<void> {
  const response = await fetch(node.process.adminUrl + path);
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
}

/** What an operator waits for, and a node that starts beside the others. `ended`: orders that have ended, one a millisecond. */
async function waits(node: Service, journal: string, scope: Scope, ended: number): Promise<Figures> {
  const sinceMs = Math.round(Date.now() - ended / 2);
  const window = `since=${sinceMs}&until=${sinceMs + WINDOW_MS}`;
  const lists: Took[] = [];
  for (const path of [...PAGES, `/orders?${window}`, ...ORDER_STATUSES.map((status) => `/orders?status=${status}&${window}`)])
    lists.push(await msOf(() => get(node, path), LOOKS));
  const metrics = await msOf(() => get(node, "/metrics"), LOOKS);
  await using stack = new AsyncDisposableStack();
  let further: Service | undefined;
  const start = await msOf(async () => (further = await startService({ ...scope, stack }, { JOURNAL: journal })));
  // The first one waits for what the later ones have kept.
  const first = await msOf(() => get(further as Service, "/metrics"));
  return {
    "slowest list": [Math.max(...lists.map(({ medianMs }) => medianMs)), "ms"],
    "slowest list, the most": [Math.max(...lists.map(({ mostMs }) => mostMs)), "ms"],
    "/metrics": [metrics.medianMs, "ms"],
    "/metrics, the most": [metrics.mostMs, "ms"],
    "a further node's start": [start.medianMs, "ms"],
    "a further node's first /metrics": [first.medianMs, "ms"],
  };
}

const variants = (load: WarmLoad, ended: number) => {
  const site = (orders: number): Omit<Site, "nodes"> => ({ ended: orders, further: (...at) => waits(...at, orders) });
  return [
    ...[ONE, TWO, THREE].map((name = "", n) => onPostgres(name, load, { nodes: n + 1, ...site(0) })),
    onPostgres(BESIDE, load, { nodes: 1, ...site(ended) }),
  ];
};

export const experiment = defineExperiment({
  question: "What do two and three nodes make on one PostgreSQL, and one beside millions of orders that have ended?",
  defaults: { warmup: 5, rounds: 3, seconds: 3, connections: 64, ended: 5_000_000 },
  about: { ended: "orders in the tables" },
  variants: ({ ended, ...load }) => variants(load, ended),
  targets: (seen) => [
    atLeast("placed: orders/s beside ended orders, over those beside none", seen.ratio("placed: orders/s", BESIDE, ONE as string), 0.9),
    atMost("placed: p99 beside ended orders, over that beside none", seen.ratio("placed: p99", BESIDE, ONE as string), 1.1),
    ...["slowest list", "/metrics"].map((page) => atMost(`${page} beside ended orders`, seen.most(BESIDE, page), 50, " ms")),
    atMost("a further node's start beside ended orders", seen.most(BESIDE, "a further node's start"), 2_000, " ms"),
  ],
});
