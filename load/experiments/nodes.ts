import type { Service } from "../lab/closed-loop.ts";
import { startService, type WarmLoad } from "../lab/closed-loop.ts";
import { defineExperiment, type Figures, type Scope } from "../lab/experiment.ts";
import { median } from "../quantile.ts";
import { atLeast, atMost } from "../target.ts";
import { onPostgres } from "./postgres.ts";

const [ONE, TWO, THREE] = ["1 node", "2 nodes", "3 nodes"];
const BESIDE = "1 node beside ended orders";
const LOOKS = 5;
const PAGES = ["/orders", "/orders?status=error", "/compensations", "/compensations?state=done", "/dead-letters", "/restore", "/nodes"];

async function msOf(work: () => Promise<unknown>, times = 1): Promise<number> {
  const each: number[] = [];
  while (each.length < times) {
    const startMs = performance.now();
    await work();
    each.push(performance.now() - startMs);
  }
  return median(each);
}

/** What an operator waits for, and a node that starts beside the others. */
async function waits(node: Service, journal: string, scope: Scope): Promise<Figures> {
  const get = async (path: string): Promise<void> => {
    const response = await fetch(node.process.adminUrl + path);
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
  };
  let slowestMs = 0;
  for (const path of PAGES) slowestMs = Math.max(slowestMs, await msOf(() => get(path), LOOKS));
  const metricsMs = await msOf(() => get("/metrics"), LOOKS);
  await using stack = new AsyncDisposableStack();
  const startMs = await msOf(() => startService({ ...scope, stack }, { JOURNAL: journal }));
  return { "slowest list": [slowestMs, "ms"], "/metrics": [metricsMs, "ms"], "a further node's start": [startMs, "ms"] };
}

const variants = (load: WarmLoad, ended: number) => [
  ...[ONE, TWO, THREE].map((name = "", n) => onPostgres(name, load, { nodes: n + 1, further: waits })),
  onPostgres(BESIDE, load, { nodes: 1, ended, further: waits }),
];

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
