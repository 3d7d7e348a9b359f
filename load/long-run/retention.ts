import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { perStep } from "../../src/orders/steps.ts";
import { constantRate, openLoop } from "../open-loop.ts";
import { quantile } from "../quantile.ts";
import { runBench } from "../run-bench.ts";
import { ServerProcess } from "../server-process.ts";
import { table } from "../table.ts";
import { atMost } from "../target.ts";
import { fillJournal } from "./filled-journal.ts";
import { readNumbers } from "./numbers.ts";

const USAGE = `Deletes old orders from a journal while new ones run, beside a service on an equal journal that keeps everything.

usage: npm run bench:retention -- [--orders N] [--rate N] [--seconds N]

  --orders N   that ended 40 days ago, two thirds of them failed (default: 1000000)
  --rate N     new orders a second, for each service (default: 50)
  --seconds N  of one look at the latencies (default: 20)
`;
const MB = 1024 * 1024;

runBench(async () => {
  const options = readNumbers(USAGE, { orders: 1_000_000, rate: 50, seconds: 20 });
  if (options === undefined) return [];
  const directory = mkdtempSync(join(tmpdir(), "retention-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const [kept, retired] = [join(directory, "kept.db"), join(directory, "retired.db")];
  process.stderr.write("filling two journals\n");
  for (const file of [kept, retired]) await fillJournal(file, { oldOrders: { count: options.orders, days: 40 } });
  const bytesBefore = statSync(retired).size;
  await using keeping = await ServerProcess.start({ JOURNAL: kept, COURIER_CAPACITY: "128" });
  await using retiring = await ServerProcess.start({ JOURNAL: retired, COURIER_CAPACITY: "128", RETENTION_DAYS: "30" });

  let next = 0;
  const order = () => ({ order_id: `new ${next++}`, amount: 1, delay_ms: perStep(() => 0) });
  const failedRows = () => {
    using db = new DatabaseSync(retired, { readOnly: true });
    return (
      db.prepare("SELECT count(*) AS rows FROM attempts INDEXED BY attempts_failed WHERE error IS NOT NULL").get() as { rows: number }
    ).rows;
  };
  const before = failedRows();
  process.stderr.write("waiting for the first deletions, a minute after the start\n");
  const look = (server: ServerProcess) => openLoop({ port: server.port, arrivalsMs: constantRate(options.rate, options.seconds), order });
  while (failedRows() === before) await look(keeping);
  // Side by side, so that both get the same share of the machine.
  const ratios: number[] = [];
  const rows: string[][] = [];
  const startMs = performance.now();
  // With few old orders all are deleted before the first look; at least one look is needed.
  do {
    const [without, during] = await Promise.all([look(keeping), look(retiring)]);
    const p99 = [during, without].map(({ latenciesMs }) => quantile(latenciesMs, 0.99)) as [number, number];
    ratios.push(p99[0] / p99[1]);
    rows.push([String(failedRows()), p99[0].toFixed(2), p99[1].toFixed(2), (p99[0] / p99[1]).toFixed(2)]);
  } while (failedRows() > 0 && ratios.length < 30);
  const seconds = (performance.now() - startMs) / 1_000;
  const left = failedRows();
  const replay = await fetch(`http://127.0.0.1:${retiring.port}/order`, { method: "POST", body: '{"order_id":"old 3","amount":1200}' });
  await retiring.stop();
  const bytesAfter = statSync(retired).size;
  process.stdout.write(table(["failed orders left", "p99 while deleting, ms", "p99 without", "ratio"], rows));
  process.stdout.write(
    `${before - left} orders deleted in ${seconds.toFixed(0)} s; the file had ${(bytesBefore / MB).toFixed(0)} MB and has ${(bytesAfter / MB).toFixed(0)} MB\n`,
  );
  process.stdout.write(`a repeat of a placed old order: ${replay.status}, replayed ${replay.headers.get("idempotent-replayed")}\n`);
  return [
    atMost("failed old orders left", left, 0),
    atMost("p99 while deleting, over that without, median", quantile(ratios, 0.5), 1.5),
    // Orders that ran before the first deletions made it grow a little.
    atMost("file size after, over before", bytesAfter / bytesBefore, 1.05),
    atMost("repeats of a placed order that are no replay", replay.headers.get("idempotent-replayed") === "true" ? 0 : 1, 0),
  ];
});
