import { readdirSync } from "node:fs";
import { perStep } from "../../src/orders/steps.ts";
import { eventually } from "../../test/support/eventually.ts";
import { comeAndGo } from "../come-and-go.ts";
import { drive } from "../drive.ts";
import { median } from "../quantile.ts";
import { runBench } from "../run-bench.ts";
import { ServerProcess } from "../server-process.ts";
import { SlowClients } from "../slow-clients.ts";
import { table } from "../table.ts";
import { atLeast, atMost } from "../target.ts";
import { readNumbers } from "./numbers.ts";

const USAGE = `What 64 ordinary clients wait for their answers beside slow ones that send a byte a second, in rounds with and without them; then
connections that come and go in all ways, and the server's file descriptors before and after.

usage: npm run bench:connections -- [--slow N] [--rounds N] [--seconds N] [--opened N]

  --slow N     slow clients (default: 1000)
  --rounds N   pairs of rounds (default: 4)
  --seconds N  of one round (default: 6)
  --opened N   connections that are opened and closed (default: 100000)
`;
const ORDER = { amount: 7, delay_ms: perStep(() => 0) };
const AT_ONE_TIME = 100;
const HEALTH = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
/** What a connection sends before it goes: nothing, half a request, one, one and a half, rubbish, half a body. */
const SENT = [
  "",
  "GET /heal",
  HEALTH,
  `${HEALTH}GET /`,
  "rubbish\r\n\r\n",
  "POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
];

runBench(async () => {
  const options = readNumbers(USAGE, { slow: 1_000, rounds: 4, seconds: 6, opened: 100_000 });
  if (options === undefined) return [];
  await using server = await ServerProcess.start({ COURIER_CAPACITY: "128" });
  const ordinary = (seconds: number) => drive({ url: server.orderUrl, connections: 64, seconds, order: ORDER, answerHas: '"status":"ok"' });
  await ordinary(2);
  const rows: string[][] = [];
  const latencies: number[] = [];
  const rates: number[] = [];
  let wrong = 0;
  let sentAway = 0;
  for (let round = 0; round < options.rounds; round++) {
    const without = await ordinary(options.seconds);
    using slow = new SlowClients(server.port, options.slow);
    await eventually("the slow clients are connected", () => slow.connected === options.slow);
    const beside = await ordinary(options.seconds);
    sentAway += slow.sentAway;
    for (const { wrongBodies, socketErrors, timeouts } of [without, beside]) wrong += wrongBodies + socketErrors + timeouts;
    latencies.push(beside.latencyMs.p99 / without.latencyMs.p99);
    rates.push(beside.perSecond / without.perSecond);
    rows.push([
      String(round + 1),
      ...[without, beside].flatMap(({ perSecond, latencyMs }) => [perSecond.toFixed(0), String(latencyMs.p50), String(latencyMs.p99)]),
    ]);
  }
  process.stdout.write(
    table(["round", "orders/s alone", "p50 ms", "p99 ms", `orders/s beside ${options.slow} slow`, "p50 ms", "p99 ms"], rows),
  );
  const { before, most, after, seconds } = await openAndClose(server, options.opened);
  process.stdout.write(
    `${sentAway} slow connections were sent away meanwhile\n${options.opened} connections opened and closed in ${seconds.toFixed(0)} s; file descriptors: ${before} before, ${most} at most, ${after} after\n`,
  );
  return [
    atMost("p99 of ordinary clients beside slow ones, of that without", median(latencies), 1.5, " times"),
    atLeast("their orders a second, of those without", median(rates), 0.8, " times"),
    atMost("wrong answers and broken connections", wrong, 0),
    atMost("file descriptors more than before", after - before, 0),
    atLeast("file descriptors more meanwhile", most - before, 1),
  ];
});

interface Opened {
  readonly before: number;
  readonly most: number;
  readonly after: number;
  readonly seconds: number;
}

async function openAndClose({ pid, port }: ServerProcess, count: number): Promise<Opened> {
  await settled(pid);
  const before = openFiles(pid);
  const startMs = performance.now();
  let [next, most] = [0, 0];
  const client = async () => {
    while (next < count) {
      const n = next++;
      await comeAndGo(port, SENT[n % SENT.length] ?? "", n % 4);
      if (n % 100 === 0) most = Math.max(most, openFiles(pid));
    }
  };
  await Promise.all(Array.from({ length: AT_ONE_TIME }, client));
  const seconds = (performance.now() - startMs) / 1_000;
  await settled(pid);
  return { before, most, after: openFiles(pid), seconds };
}

/** Waits until the number of file descriptors has not changed for a second. */
async function settled(pid: number): Promise<void> {
  let [seen, sinceMs] = [openFiles(pid), performance.now()];
  await eventually("the file descriptors stay as they are", () => {
    const now = openFiles(pid);
    if (now !== seen) [seen, sinceMs] = [now, performance.now()];
    return performance.now() - sinceMs > 1_000;
  });
}

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
