const WARM_UP_ORDERS = 100;
const MEASURED_ORDERS = 200;
const MEASURING_CLIENTS = 16;
// What an order may take on a slow machine. Less would leave it hardly any concurrency; more would make every delay and
// deadline that is derived from it, and so the run, longer.
const MAX_ORDER_MS = 150;
const MIN_CLIENTS = 8;

/** A load that fits this machine. */
export interface Pace {
  /** How many orders may be under way at one time. */
  readonly clients: number;
  /** How long a quiet order takes then. */
  readonly orderMs: number;
}

/**
 * Places some quiet orders to see how fast this machine is now, and says how many clients (`maxClients` at most) it can
 * serve. Under a load and a deadline that are fixed, nearly every order of a slow machine would time out, and a chaos run
 * would see little else.
 */
export async function measurePace(maxClients: number, placeQuietOrder: () => Promise<void>): Promise<Pace> {
  await placeMany(WARM_UP_ORDERS, placeQuietOrder);
  const startedMs = performance.now();
  await placeMany(MEASURED_ORDERS, placeQuietOrder);
  const ordersPerMs = MEASURED_ORDERS / (performance.now() - startedMs);
  // Little's law: orders under way = throughput * time of one.
  const clients = Math.max(MIN_CLIENTS, Math.min(maxClients, Math.round(ordersPerMs * MAX_ORDER_MS)));
  return { clients, orderMs: clients / ordersPerMs };
}

async function placeMany(count: number, placeQuietOrder: () => Promise<void>): Promise<void> {
  let left = count;
  const client = async () => {
    while (left-- > 0) await placeQuietOrder();
  };
  await Promise.all(Array.from({ length: MEASURING_CLIENTS }, client));
}
