import { join } from "node:path";
import { perStepSetting } from "../../src/orders/steps.ts";
import { eventually } from "../../test/support/eventually.ts";
import { defineExperiment, eachRound, type Scope } from "../lab/experiment.ts";
import { PlainProvider } from "../lab/plain-provider.ts";
import { constantRate, openLoop } from "../open-loop.ts";
import { percentiles, quantile } from "../quantile.ts";
import { ServerProcess } from "../server-process.ts";
import { atMost } from "../target.ts";

const NAME = "this service";
const LAST = "last refund, after the last paid order has failed";
const DEADLINE_MS = 2_000;

async function round({ script, directory }: Scope, journal: string, rate: number, seconds: number) {
  const [paidMs, refundedMs] = [new Map<string, number>(), new Map<string, number>()];
  await using provider = await PlainProvider.start(({ path, orderId }) => {
    if (path === "/orders" || path === "/cancellations") return "hangs";
    if (path === "/payments") paidMs.set(orderId, performance.now());
    if (path === "/refunds" && !refundedMs.has(orderId)) refundedMs.set(orderId, performance.now());
    return "done";
  });
  const settings = { JOURNAL: join(directory, journal), ...perStepSetting("URL", () => provider.url) };
  await using server = await ServerProcess.start(settings, script);
  const startMs = performance.now();
  const order = (n: number) => ({ order_id: `order ${n}`, amount: 100 + n });
  const { latenciesMs } = await openLoop({ port: server.port, arrivalsMs: constantRate(rate, seconds), order });
  await eventually("every payment is refunded", () => refundedMs.size >= paidMs.size).catch(() => {});
  // An order with a hung vendor fails at its deadline; from then on the customer waits.
  const failedMs = (orderId: string): number => startMs + (Number(orderId.split(" ")[1]) * 1_000) / rate + DEADLINE_MS;
  const waits = [...refundedMs].map(([orderId, atMs]) => atMs - failedMs(orderId));
  // Of the last one that paid: once the circuit is open no order pays, so the last of all may come long after every refund.
  const last = Math.max(...refundedMs.values()) - Math.max(...[...paidMs.keys()].map(failedMs));
  return {
    latencyMs: percentiles(latenciesMs),
    figures: {
      payments: [paidMs.size, `of ${rate * seconds}`],
      "not refunded": [paidMs.size - refundedMs.size, ""],
      "wait for a refund, p50": [quantile(waits, 0.5), "ms"],
      "wait for a refund, p99": [quantile(waits, 0.99), "ms"],
      [LAST]: [last, "ms"],
    },
  } as const;
}

export const experiment = defineExperiment({
  question: "How long does a customer wait for the refund while the vendor takes calls and never answers?",
  defaults: { rounds: 1, seconds: 24, rate: 150 },
  about: { rate: "orders per second" },
  lab: { seconds: 12 },
  variants: ({ seconds, rate }) => [eachRound(NAME, (scope, n) => round(scope, `${n}.db`, rate, seconds))],
  targets: (seen) => [
    atMost("payments without a refund", seen.most(NAME, "not refunded"), 0),
    atMost("wait for a refund, p99", seen.median(NAME, "wait for a refund, p99"), 1_000, " ms"),
    atMost(LAST, seen.median(NAME, LAST), 2_000, " ms"),
  ],
});
