import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { perStep } from "../src/orders/steps.ts";
import { type CancelCost, cancelCosts } from "./cancel-cost.ts";
import { Child } from "./child-process.ts";
import { drive } from "./drive.ts";
import { HeldOrders } from "./held-orders.ts";
import { readNumbers } from "./long-run/numbers.ts";
import { openFileLimit } from "./open-files.ts";
import { median } from "./quantile.ts";
import { residentKiB } from "./resident-memory.ts";
import { runBench } from "./run-bench.ts";
import { ServerProcess } from "./server-process.ts";
import { table } from "./table.ts";
import { atMost } from "./target.ts";
import { leaksOf, readCounters, settledBooks } from "./thread-counters.ts";
import { until } from "./until.ts";

const FEW_ORDERS = 10;
const THREADS = 2;
const LIMIT_BYTES_AN_ORDER = 18 * 1024;
const LIMIT_COST_RATIO = 2;
// How much of its heap an idle process has in memory differs by a KB an order from one process to the next.
const DEFAULTS = { orders: 10_000, processes: 3 };
const USAGE = `Resident memory of orders that wait, against bare Express holding as many requests; then what the cancel of one costs among many and
among few.

usage: npm run bench:waiting -- [--orders N] [--processes N]

  --orders N     that wait at one time (default: ${DEFAULTS.orders})
  --processes N  of the service, one after the other (default: ${DEFAULTS.processes})
`;
const SPARE_FILES = 200;
const LONG_MS = 600_000;
// Idle memory is that of a server that has worked: code compiled, heaps of all threads grown to what a small load
// (64 at a time) needs. Otherwise the orders would be charged for that too.
const WARM_UP = {
  connections: 64,
  seconds: 4,
  order: { amount: 1200, delay_ms: perStep(() => 0) },
  answerHas: '"status":"ok"',
};
const REST_MS = 3_000;

const WAITING_ORDER = { amount: 1200, delay_ms: perStep(() => LONG_MS) };

interface Held {
  readonly who: string;
  readonly count: number;
  readonly idleKiB: number;
  readonly waitingKiB: number;
}

async function hold(who: string, pid: number, port: number, count: number, inFlight: () => Promise<number>): Promise<Held> {
  await drive({ url: `http://127.0.0.1:${port}/order`, ...WARM_UP });
  await until(`${who} is idle`, async () => (await inFlight()) === 0);
  await pause(REST_MS);
  const idleKiB = residentKiB(pid);
  using orders = await HeldOrders.send(port, count, WAITING_ORDER);
  await until(`${count} orders wait at ${who}`, async () => (await inFlight()) === count || orders.answered > 0);
  await pause(REST_MS);
  const waitingKiB = residentKiB(pid);
  if (orders.answered > 0) throw new Error(`${orders.answered} orders were answered instead of waiting at ${who}`);
  return { who, count, idleKiB, waitingKiB };
}

/** Besides: how many threads it cost that all clients hung up at one moment. */
async function holdAtService(count: number): Promise<Held & { readonly threadsReplaced: number }> {
  await using service = await ServerProcess.start({
    THREADS: String(THREADS),
    PAYMENT_CAPACITY: String(count),
    VENDOR_CAPACITY: String(count),
    COURIER_CAPACITY: "128",
    MAX_IN_FLIGHT: String(Math.max(count, WARM_UP.connections)),
    MAX_CONNECTIONS: String(2 * count + WARM_UP.connections),
    ORDER_TIMEOUT_MS: String(LONG_MS),
  });
  const held = await hold(
    "this service",
    service.pid,
    service.port,
    count,
    async () => (await readCounters(service.adminUrl)).orders_in_flight,
  );
  const counters = await settledBooks(service.adminUrl);
  const leaks = leaksOf(counters);
  const ended = await service.stop();
  if (ended !== "code 0") leaks.push(`the server ended with ${ended} after SIGTERM`);
  if (leaks.length > 0) throw new Error(`after all clients hung up: ${leaks.join("; ")}`);
  return { ...held, threadsReplaced: counters.replaced };
}

async function holdAtBareExpress(count: number): Promise<Held> {
  const script = fileURLToPath(new URL("./baseline/holding-express.ts", import.meta.url));
  await using bare = await Child.start({ args: [script], env: {}, up: /holding Express on (\d+)/ });
  const port = Number(bare.groups[0]);
  return await hold("bare Express", bare.pid, port, count, async () => Number(await (await fetch(`http://127.0.0.1:${port}/held`)).text()));
}

function memoryRow(held: Held): string[] {
  const mib = (kib: number): string => (kib / 1024).toFixed(0);
  return [held.who, mib(held.idleKiB), mib(held.waitingKiB), bytesAnOrder(held).toFixed(0)];
}

function bytesAnOrder({ count, idleKiB, waitingKiB }: Held): number {
  return ((waitingKiB - idleKiB) * 1024) / count;
}

function costRow({ inFlight, callMs, stopMs }: CancelCost): string[] {
  return [`${inFlight} in flight`, ...[callMs.p50, callMs.p99, stopMs.p50, stopMs.p99].map((ms) => ms.toFixed(3))];
}

runBench(async () => {
  const options = readNumbers(USAGE, DEFAULTS);
  if (options === undefined) return [];
  const { orders, processes } = options;
  const needed = orders + SPARE_FILES;
  if (openFileLimit() < needed)
    throw new Error(`${needed} open files are needed, the limit is ${openFileLimit()}: raise it with ulimit -n`);
  const services = [];
  for (let n = 1; n <= processes; n++) {
    process.stdout.write(`process ${n} of ${processes}\n`);
    services.push(await holdAtService(orders));
  }
  const bare = await holdAtBareExpress(orders);
  process.stdout.write(
    table([`${orders} orders waiting`, "idle MiB", "waiting MiB", "bytes an order"], [...services, bare].map(memoryRow)),
  );

  const { few, many } = await cancelCosts({ threads: THREADS, few: FEW_ORDERS, many: orders });
  process.stdout.write(
    `\n${table(["one cancel", "call p50 ms", "call p99 ms", "stopped p50 ms", "stopped p99 ms"], [few, many].map(costRow))}`,
  );
  return [
    atMost("resident memory of one waiting order, median", median(services.map(bytesAnOrder)), LIMIT_BYTES_AN_ORDER, " bytes"),
    atMost(`call of a cancel, p50, ${orders} over ${FEW_ORDERS} in flight`, many.callMs.p50 / few.callMs.p50, LIMIT_COST_RATIO),
    atMost(`until its steps have stopped, p50, ${orders} over ${FEW_ORDERS}`, many.stopMs.p50 / few.stopMs.p50, LIMIT_COST_RATIO),
    atMost(
      "threads replaced when all clients hung up at one moment",
      Math.max(...services.map(({ threadsReplaced }) => threadsReplaced)),
      0,
    ),
  ];
});
