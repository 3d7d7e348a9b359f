import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { perStepSetting } from "../../src/orders/steps.ts";
import { constantRate, type OpenLoopResult, openLoop } from "../open-loop.ts";
import { quantile } from "../quantile.ts";
import { residentKiB } from "../resident-memory.ts";
import { runBench } from "../run-bench.ts";
import { ServerProcess } from "../server-process.ts";
import { table } from "../table.ts";
import { atLeast, atMost } from "../target.ts";
import { fillJournal } from "./filled-journal.ts";
import { readNumbers } from "./numbers.ts";
import { freePort, PlainProvider } from "./plain-provider.ts";

const USAGE = `Starts the service on a journal with a million compensations that are not done and 100 000 events that are not
delivered, first with providers that refuse connections, then with providers that are back, beside a service on an empty journal.

usage: npm run bench:backlog -- [--compensations N] [--events N] [--rate N] [--seconds N]

  --compensations N  default: 1000000
  --events N         default: 100000
  --rate N           new orders a second (default: 100)
  --seconds N        of each phase (default: 20)
`;

runBench(async () => {
  const options = readNumbers(USAGE, { compensations: 1_000_000, events: 100_000, rate: 100, seconds: 20 });
  if (options === undefined) return [];
  const directory = mkdtempSync(join(tmpdir(), "backlog-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const full = join(directory, "full.db");
  process.stderr.write("filling the journal\n");
  await fillJournal(full, { pendingOrders: Math.ceil(options.compensations / 3), events: options.events });
  const secret = join(directory, "secret");
  writeFileSync(secret, `whsec_${randomBytes(32).toString("base64")}\n`);

  let compensated = 0;
  let delivered = 0;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const settings = {
    ...perStepSetting("URL", () => url),
    WEBHOOK_URL: `${url}/events`,
    WEBHOOK_SECRET_FILE: secret,
    COURIER_CAPACITY: "128",
  };
  let next = 0;
  const orders = (server: ServerProcess): Promise<OpenLoopResult> =>
    openLoop({
      port: server.port,
      arrivalsMs: constantRate(options.rate, options.seconds),
      order: () => ({ order_id: `new ${next++}`, amount: 500 }),
    });
  const p = ({ latenciesMs }: OpenLoopResult, q: number) => quantile(latenciesMs, q);
  const rows: string[][] = [];
  const row = (name: string, result: OpenLoopResult, server: ServerProcess, more = "") => {
    const statuses = [...result.statuses].map(([status, count]) => `${count} x ${status}`).join(", ");
    const figures = [0.5, 0.99, 1].map((q) => p(result, q).toFixed(1));
    rows.push([name, statuses, ...figures, (residentKiB(server.pid) / 1024).toFixed(0), more]);
  };

  process.stderr.write("providers refuse connections\n");
  const startMs = performance.now();
  await using loaded = await ServerProcess.start({ ...settings, JOURNAL: full });
  const readyMs = performance.now() - startMs;
  const emptyStartMs = performance.now();
  await using empty = await ServerProcess.start({ ...settings, JOURNAL: join(directory, "empty.db") });
  const emptyReadyMs = performance.now() - emptyStartMs;
  const loadedDown = await orders(loaded);
  row("backlog, providers down", loadedDown, loaded);
  const emptyDown = await orders(empty);
  row("empty, providers down", emptyDown, empty);

  process.stderr.write("providers are back\n");
  await using _providers = await PlainProvider.start(port, ({ path }) => {
    if (/refunds|cancellations|releases/.test(path)) compensated++;
    if (path === "/events") delivered++;
    return "done";
  });
  // A probe of each provider finds within ten seconds that it is back.
  while (compensated < 3_000) await sleep(50);
  const emptyUp = await orders(empty);
  row("empty, providers up", emptyUp, empty);
  const before = { compensated, delivered, atMs: performance.now() };
  const loadedUp = await orders(loaded);
  const seconds = (performance.now() - before.atMs) / 1_000;
  const drained = (compensated - before.compensated) / seconds;
  row(
    "backlog, providers up",
    loadedUp,
    loaded,
    `${drained.toFixed(0)}/s compensated, ${((delivered - before.delivered) / seconds).toFixed(0)}/s delivered`,
  );
  const memory = residentKiB(loaded.pid) / 1024;

  process.stdout.write(table(["service", "answers", "p50, ms", "p99", "max", "memory, MB", "backlog"], rows));
  process.stdout.write(`ready after ${readyMs.toFixed(0)} ms, with an empty journal after ${emptyReadyMs.toFixed(0)} ms\n`);
  return [
    atMost("ready after", readyMs, 2_000, " ms"),
    atMost("memory", memory, 300, " MB"),
    atMost("answer with the backlog over one without, providers down, p50", p(loadedDown, 0.5) / p(emptyDown, 0.5), 1.5),
    atMost("answer with the backlog over one without, providers up, p99", p(loadedUp, 0.99) / p(emptyUp, 0.99), 1.5),
    atLeast("compensations a second while providers are up", drained, 2_000),
  ];
});
