import { setTimeout as pause } from "node:timers/promises";
import { perStep } from "../src/orders/steps.ts";
import { eventually } from "../test/support/eventually.ts";
import { drive } from "./drive.ts";
import { HeldOrders } from "./held-orders.ts";
import { residentKiB } from "./resident-memory.ts";
import { ServerProcess } from "./server-process.ts";
import { leaksOf, readCounters, settledCounters } from "./thread-counters.ts";

/** Threads of the shared pool of a service that holds orders. */
export const THREADS = 2;
const LONG_MS = 600_000;
// Idle memory is that of a server that has worked: its code is compiled, and the heaps of all threads have grown to the size that a small
// load needs. Otherwise this growth would count as memory of the waiting orders.
const WARM_UP = {
  connections: 64,
  seconds: 4,
  order: { amount: 1200, delay_ms: perStep(() => 0) },
  answerHas: '"status":"ok"',
};
const REST_MS = 3_000;

const WAITING_ORDER = { amount: 1200, delay_ms: perStep(() => LONG_MS) };

/** Memory before so many orders wait, and while they do. */
export interface Held {
  readonly who: string;
  readonly count: number;
  readonly idleKiB: number;
  readonly waitingKiB: number;
}

/** Warms a server up and has it hold so many orders. Throws when one of them is answered. */
export async function hold(
  who: string,
  port: number,
  count: number,
  inFlight: () => Promise<number>,
  memoryKiB: () => number,
): Promise<Held> {
  await drive({ url: `http://127.0.0.1:${port}/order`, ...WARM_UP });
  await eventually(`${who} is idle`, async () => (await inFlight()) === 0);
  await pause(REST_MS);
  const idleKiB = memoryKiB();
  using orders = await HeldOrders.send(port, count, WAITING_ORDER);
  await eventually(`${count} orders wait at ${who}`, async () => (await inFlight()) === count || orders.answered > 0);
  await pause(REST_MS);
  const waitingKiB = memoryKiB();
  if (orders.answered > 0) throw new Error(`${orders.answered} orders were answered instead of waiting at ${who}`);
  return { who, count, idleKiB, waitingKiB };
}

export interface HoldOptions {
  /** `src/main.ts` of another checkout. */
  readonly script?: string;
  readonly settings?: Readonly<Record<string, string>>;
  /** Its resident memory by default. */
  readonly memoryKiB?: (pid: number) => number;
}

/**
 * Has the service hold so many orders; then all clients hang up at one moment. Also returns the number of threads replaced by that. Throws
 * when something of an order is left.
 */
export async function holdAtService(
  count: number,
  { script, settings: more = {}, memoryKiB = residentKiB }: HoldOptions = {},
): Promise<Held & { readonly threadsReplaced: number }> {
  const settings = {
    THREADS: String(THREADS),
    PAYMENT_CAPACITY: String(count),
    VENDOR_CAPACITY: String(count),
    COURIER_CAPACITY: "128",
    MAX_IN_FLIGHT: String(Math.max(count, WARM_UP.connections)),
    MAX_CONNECTIONS: String(2 * count + WARM_UP.connections),
    ORDER_TIMEOUT_MS: String(LONG_MS),
    ...more,
  };
  await using service = await ServerProcess.start(settings, script);
  const held = await hold(
    "this service",
    service.port,
    count,
    async () => (await readCounters(service.adminUrl)).orders_in_flight,
    () => memoryKiB(service.pid),
  );
  const counters = await settledCounters(service.adminUrl);
  const leaks = leaksOf(counters);
  const ended = await service.stop();
  if (ended !== "code 0") leaks.push(`the server ended with ${ended} after SIGTERM`);
  if (leaks.length > 0) throw new Error(`after all clients hung up: ${leaks.join("; ")}`);
  return { ...held, threadsReplaced: counters.replaced };
}

export function bytesAnOrder({ count, idleKiB, waitingKiB }: Held): number {
  return ((waitingKiB - idleKiB) * 1024) / count;
}
