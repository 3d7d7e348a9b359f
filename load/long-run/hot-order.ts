import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { perStep } from "../../src/orders/steps.ts";
import { constantRate, openLoop } from "../open-loop.ts";
import { quantile } from "../quantile.ts";
import { runBench } from "../run-bench.ts";
import { ServerProcess } from "../server-process.ts";
import { table } from "../table.ts";
import { atMost } from "../target.ts";
import { fillJournal } from "./filled-journal.ts";
import { readNumbers } from "./numbers.ts";

const USAGE = `Looks up an order with very many attempts, again and again, while other orders run.

usage: npm run bench:hot-order -- [--attempts N] [--rate N] [--seconds N]

  --attempts N  failed attempts at the one order (default: 100000)
  --rate N      other orders a second (default: 100)
  --seconds N   with look-ups, and as long without (default: 10)
`;

runBench(async () => {
  const options = readNumbers(USAGE, { attempts: 100_000, rate: 100, seconds: 10 });
  if (options === undefined) return [];
  const directory = mkdtempSync(join(tmpdir(), "hot-order-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "orders.db");
  await fillJournal(file, { hotAttempts: options.attempts });
  await using server = await ServerProcess.start({ JOURNAL: file, COURIER_CAPACITY: "128" });

  let next = 0;
  const { rate, seconds } = options;
  const order = () => ({ order_id: `o ${next++}`, amount: 1, delay_ms: perStep(() => 0) });
  const orders = () => openLoop({ port: server.port, arrivalsMs: constantRate(rate, seconds), order });
  await orders();
  const alone = await orders();
  const lookUpsMs: number[] = [];
  let bytes = 0;
  let over = false;
  const running = orders().finally(() => {
    over = true;
  });
  while (!over) {
    const startMs = performance.now();
    const response = await fetch(`http://127.0.0.1:${server.port}/order/hot`);
    bytes = (await response.arrayBuffer()).byteLength;
    lookUpsMs.push(performance.now() - startMs);
  }
  const beside = await running;
  const figures = (values: readonly number[]) => [0.5, 0.99, 1].map((q) => quantile(values, q).toFixed(2));
  process.stdout.write(
    table(
      ["", "requests", "p50, ms", "p99", "max"],
      [
        [`look-up, ${bytes} bytes`, String(lookUpsMs.length), ...figures(lookUpsMs)],
        ["order beside it", String(beside.latenciesMs.length), ...figures(beside.latenciesMs)],
        ["order without", String(alone.latenciesMs.length), ...figures(alone.latenciesMs)],
      ],
    ),
  );
  return [
    atMost("look-up, p50", quantile(lookUpsMs, 0.5), 20, " ms"),
    atMost("what an order waits for it, p99", quantile(beside.latenciesMs, 0.99) - quantile(alone.latenciesMs, 0.99), 20, " ms"),
  ];
});
