import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { perStepSetting } from "../../src/orders/steps.ts";
import { constantRate, openLoop } from "../open-loop.ts";
import { quantile } from "../quantile.ts";
import { runBench } from "../run-bench.ts";
import { ServerProcess } from "../server-process.ts";
import { table } from "../table.ts";
import { atMost } from "../target.ts";
import { readNumbers } from "./numbers.ts";
import { PlainProvider } from "./plain-provider.ts";

const USAGE = `The vendor takes calls and never answers, payment and courier are fine: how long a customer waits for the refund.

usage: npm run bench:hung-vendor -- [--seconds N] [--rate N]

  --seconds N  how long orders come in (default: 24)
  --rate N     orders a second (default: 150)
`;
const DEADLINE_MS = 2_000;

runBench(async () => {
  const options = readNumbers(USAGE, { seconds: 24, rate: 150 });
  if (options === undefined) return [];
  const directory = mkdtempSync(join(tmpdir(), "hung-vendor-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const paidMs = new Map<string, number>();
  const refundedMs = new Map<string, number>();
  const sentMs = new Map<string, number>();
  await using provider = await PlainProvider.start(0, ({ path, orderId }) => {
    if (path === "/orders" || path === "/cancellations") return "hangs";
    if (path === "/payments") paidMs.set(orderId, Date.now());
    if (path === "/refunds" && !refundedMs.has(orderId)) refundedMs.set(orderId, Date.now());
    return "done";
  });
  await using server = await ServerProcess.start({
    JOURNAL: join(directory, "orders.db"),
    ...perStepSetting("URL", () => provider.url),
  });
  const startMs = Date.now();
  const { seconds, rate } = options;
  const run = openLoop({
    port: server.port,
    arrivalsMs: constantRate(rate, seconds),
    order: (n) => {
      sentMs.set(`order ${n}`, startMs + (n * 1_000) / rate);
      return { order_id: `order ${n}`, amount: 100 + n };
    },
  });
  await sleep(seconds * 1_000);
  const endMs = Date.now();
  const result = await run;
  // The orders of the last second fail two seconds later.
  while (refundedMs.size < paidMs.size && Date.now() < endMs + DEADLINE_MS + 30_000) await sleep(20);
  const allDoneMs = Math.max(...refundedMs.values()) - endMs;
  // An order with a hung vendor fails at its deadline; from then on the customer waits.
  const waits = [...refundedMs].map(([orderId, atMs]) => atMs - ((sentMs.get(orderId) ?? 0) + DEADLINE_MS));
  const statuses = [...result.statuses].map(([status, count]) => `${count} x ${status}`).join(", ");
  process.stdout.write(
    table(
      ["orders", "payments", "refunds", "wait p50, ms", "p99", "max", "last after the load, ms"],
      [
        [
          String(rate * seconds),
          String(paidMs.size),
          String(refundedMs.size),
          ...[0.5, 0.99, 1].map((q) => quantile(waits, q).toFixed(0)),
          String(allDoneMs),
        ],
      ],
    ),
  );
  process.stdout.write(`answers: ${statuses}\n`);
  return [
    atMost("payments without a refund", paidMs.size - refundedMs.size, 0),
    atMost("wait for a refund, p99", quantile(waits, 0.99), 1_000, " ms"),
    atMost("last refund, after the last order has failed", allDoneMs - DEADLINE_MS, 2_000, " ms"),
  ];
});
