import { fileURLToPath } from "node:url";
import { type CancelCost, cancelCosts } from "./cancel-cost.ts";
import { Child } from "./child-process.ts";
import { bytesAnOrder, type Held, hold, holdAtService, THREADS } from "./held-memory.ts";
import { readNumbers } from "./long-run/numbers.ts";
import { openFileLimit } from "./open-files.ts";
import { median } from "./quantile.ts";
import { residentKiB } from "./resident-memory.ts";
import { runBench } from "./run-bench.ts";
import { table } from "./table.ts";
import { atMost } from "./target.ts";

const FEW_ORDERS = 10;
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
async function holdAtBareExpress(count: number): Promise<Held> {
  const script = fileURLToPath(new URL("./baseline/holding-express.ts", import.meta.url));
  await using bare = await Child.start({ args: [script], env: {}, up: /holding Express on (\d+)/ });
  const port = Number(bare.groups[0]);
  const held = async () => Number(await (await fetch(`http://127.0.0.1:${port}/held`)).text());
  return await hold("bare Express", port, count, held, () => residentKiB(bare.pid));
}

function memoryRow(held: Held): string[] {
  const mib = (kib: number): string => (kib / 1024).toFixed(0);
  return [held.who, mib(held.idleKiB), mib(held.waitingKiB), bytesAnOrder(held).toFixed(0)];
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
