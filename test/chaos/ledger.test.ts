import { expect, test } from "vitest";
import { balance } from "../../load/stand-in/balance.ts";
import { randomFrom } from "../../load/stand-in/random.ts";
import { spawnStandIn } from "../../load/stand-in/spawn.ts";
import { startService } from "../support/service.ts";
import { type Answered, ask, ranToAnEnd } from "./asking.ts";
import { endingsOf } from "./endings.ts";
import { BAD_DAY } from "./providers.ts";

const SEED = process.env.SEED ?? String(Date.now());
const ORDERS = 5000;
const CLIENTS = 64;

// The one rule above all: what clients, threads and providers may do, the ledger of the providers agrees with what the
// service says of every attempt.
test(`the ledger balances after ${ORDERS} orders on a bad day (SEED=${SEED})`, { timeout: 300_000 }, async () => {
  const standIn = await spawnStandIn({ seed: SEED, rates: BAD_DAY });
  await using running = await startService({
    PAYMENT_URL: standIn.url,
    VENDOR_URL: standIn.url,
    COURIER_URL: standIn.url,
    COURIER_CAPACITY: "128",
    ORDER_TIMEOUT_MS: "250",
  });
  const { service, port } = running;
  const random = randomFrom(SEED);
  const orders = new Map<string, number>();
  const answers: Answered[] = [];
  const counts = { repeated: 0, hungUp: 0, killed: 0, broken: 0 };

  const one = async (n: number) => {
    // A third of the requests are for an order somebody has asked for before, perhaps just now.
    const repeats = n > 0 && random() < 0.33;
    const orderId = `order ${repeats ? Math.max(0, n - 1 - Math.floor(random() * 200)) : n}`;
    const amount = orders.get(orderId) ?? 1 + Math.floor(random() * 100_000);
    orders.set(orderId, amount);
    if (repeats) counts.repeated++;
    const key = random() < 0.3 ? `key of ${orderId}`.replaceAll(" ", "-") : undefined;
    const hangUp = random() < 0.1 ? AbortSignal.timeout(Math.ceil(random() * 80)) : undefined;
    const answered = await ask(
      port,
      { orderId, amount, ...(key !== undefined && { key }) },
      hangUp === undefined ? {} : { signal: hangUp },
    );
    if (answered !== undefined) answers.push(answered);
    else if (hangUp?.aborted === true) counts.hungUp++;
    else counts.broken++;
  };
  let next = 0;
  const client = async () => {
    while (next < ORDERS) {
      const n = next++;
      if (n % 500 === 250 && service.runtime.killThread() !== undefined) counts.killed++;
      if (n % 500 === 499) service.journal.killThread();
      await one(n);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));

  // The rule must be able to fail: seen before everything is undone, from a client that was promised nothing, it does.
  expect(balance(await standIn.quiet(), []).length).toBeGreaterThan(ORDERS / 20);

  await standIn.setRates({});
  // What went wrong on the service's side is in its log; without this a failure here would say nothing of its cause.
  const errors = () => JSON.stringify(running.logged.filter(({ level }) => level >= 50).slice(0, 3));
  const endings = await endingsOf(port, orders, 60_000).catch((error: Error) => {
    throw new Error(`${error.message}\npending undos: ${service.undoing.pending}; log: ${errors()}`);
  });
  expect(balance(await standIn.quiet(), endings)).toEqual([]);

  // Every answer agrees with what the service says of its order now.
  const placed = new Set(endings.filter(({ ok }) => ok).map(({ orderId }) => orderId));
  const ran = answers.filter(ranToAnEnd);
  for (const { orderId, status } of ran) if (status === 200) expect(placed, orderId).toContain(orderId);
  const okTexts = Map.groupBy(
    ran.filter(({ status }) => status === 200),
    ({ orderId }) => orderId,
  );
  for (const [orderId, same] of okTexts) expect(new Set(same.map(({ text }) => text)).size, orderId).toBe(1);

  expect(counts.broken).toBe(0);
  for (const count of [counts.repeated, counts.hungUp]) expect(count).toBeGreaterThan(ORDERS / 50);
  expect(counts.killed).toBeGreaterThan(4);
  expect(running.logged.filter(({ msg }) => msg === "journal thread replaced").length).toBeGreaterThan(4);
  expect(placed.size).toBeGreaterThan(ORDERS / 5);
  expect(endings.length - placed.size).toBeGreaterThan(ORDERS / 10);
  expect(service.runtime.books()).toEqual({ slots: 0, unsettled: 0, exclusivePermits: 0, exclusiveWaiting: 0, graceWatched: 0 });
  expect(service.desk.inFlight).toBe(0);
  const { running: stillRunning, started, finished } = service.runtime.totals();
  expect({ stillRunning, open: started - finished }).toEqual({ stillRunning: 0, open: 0 });
  await standIn.close();
});
