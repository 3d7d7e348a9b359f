import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { balance } from "../../load/stand-in/balance.ts";
import { randomFrom } from "../../load/stand-in/random.ts";
import { spawnStandIn } from "../../load/stand-in/spawn.ts";
import { perStepSetting } from "../../src/orders/steps.ts";
import { measurePace } from "../support/pace.ts";
import { startService } from "../support/service.ts";
import { runUntilSeen } from "../support/until-seen.ts";
import { type Answered, ask, ranToAnEnd } from "./asking.ts";
import { endingsOf } from "./endings.ts";
import { badDay, DEADLINE_TIMES } from "./providers.ts";

const SEED = process.env.SEED ?? String(Date.now());
// Thousands more, with kills of the process and restores, are in `npm run campaign:ledger`.
const ORDERS = 700;
// The worst answers that a client can get, each to be seen a few times.
const KINDS = ["payment_declined", "payment_unavailable", "vendor_unavailable", "no_courier", "internal", "timeout"];
const LIMIT_MS = 600_000;

// The one rule above all: what clients, threads and providers may do, the ledger of the providers agrees with what the
// service says of every attempt.
test(`the ledger balances after ${ORDERS} orders on a bad day (SEED=${SEED})`, { timeout: 2 * LIMIT_MS }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "ledger-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const standIn = await spawnStandIn({ seed: SEED });
  const settings = {
    JOURNAL: join(directory, "orders.db"),
    ...perStepSetting("URL", () => standIn.url),
    COURIER_CAPACITY: "128",
  };
  const random = randomFrom(SEED);
  const orders = new Map<string, number>();
  const answers: Answered[] = [];
  const counts = { repeated: 0, hungUp: 0, killed: 0, broken: 0 };
  const distinct = { placed: new Set<string>(), failed: new Set<string>(), kinds: new Map<string, number>() };

  const measure = async () => {
    await using quiet = await startService({ ...settings, ORDER_TIMEOUT_MS: "60000" });
    return await measurePace(64, async () => {
      const order = { orderId: `quiet order ${orders.size}`, amount: 1 };
      orders.set(order.orderId, order.amount);
      expect((await ask(quiet.port, order))?.status).toBe(200);
    });
  };
  const { clients, orderMs } = await measure();
  const deadlineMs = Math.max(250, Math.ceil(DEADLINE_TIMES * orderMs));
  await standIn.setFaultRates(badDay(deadlineMs));
  await using running = await startService({ ...settings, ORDER_TIMEOUT_MS: String(deadlineMs) });
  const { service, port } = running;

  const one = async (n: number) => {
    if (n % 70 === 35 && service.threads.killThread() !== undefined) counts.killed++;
    // A third of the requests are for an order somebody has asked for before, perhaps just now.
    const repeats = n > 0 && random() < 0.33;
    const orderId = `order ${repeats ? Math.max(0, n - 1 - Math.floor(random() * 200)) : n}`;
    const amount = orders.get(orderId) ?? 1 + Math.floor(random() * 100_000);
    orders.set(orderId, amount);
    if (repeats) counts.repeated++;
    const key = random() < 0.3 ? `key of ${orderId}`.replaceAll(" ", "-") : undefined;
    const hangUp = random() < 0.1 ? AbortSignal.timeout(Math.ceil(random() * 0.3 * deadlineMs)) : undefined;
    const answered = await ask(
      port,
      { orderId, amount, ...(key !== undefined && { key }) },
      hangUp === undefined ? {} : { signal: hangUp },
    );
    if (answered !== undefined) {
      answers.push(answered);
      // As sets of answers: one that goes to several, at once or again, is one attempt.
      if (answered.status === 200) distinct.placed.add(orderId);
      else if (ranToAnEnd(answered)) {
        distinct.failed.add(orderId + answered.text);
        const { kind } = JSON.parse(answered.text).error;
        distinct.kinds.set(kind, (distinct.kinds.get(kind) ?? 0) + 1);
      }
    } else if (hangUp?.aborted === true) counts.hungUp++;
    else counts.broken++;
  };
  const sights = [
    { what: "requests", atLeast: ORDERS, seen: () => answers.length + counts.hungUp },
    // While a circuit is open orders are refused by the hundred: they are no bad day for anybody.
    { what: "steps that ran", atLeast: 2.5 * ORDERS, seen: () => service.threads.totals().started },
    { what: "placed", atLeast: ORDERS / 5, seen: () => distinct.placed.size },
    { what: "failed", atLeast: ORDERS / 10, seen: () => distinct.failed.size },
    { what: "repeated", atLeast: ORDERS / 50, seen: () => counts.repeated },
    { what: "hung up", atLeast: ORDERS / 50, seen: () => counts.hungUp },
    { what: "killed threads", atLeast: 5, seen: () => counts.killed },
    ...KINDS.map((kind) => ({ what: kind, atLeast: 5, seen: () => distinct.kinds.get(kind) ?? 0 })),
    { what: "calls after their compensation", atLeast: 5, seen: async () => (await standIn.ledger()).counts.tooLate },
  ];
  await runUntilSeen({ clients, sights, limitMs: LIMIT_MS }, one);

  // The rule must be able to fail: seen before everything is compensated, from a client that was promised nothing, it does.
  expect(balance(await standIn.quiet(), []).length).toBeGreaterThan(ORDERS / 20);

  await standIn.setFaultRates({});
  // What went wrong on the service's side is in its log; without this a failure here would say nothing of its cause.
  const errors = () => JSON.stringify(running.logged.filter(({ level }) => level >= 50).slice(0, 3));
  const endings = await endingsOf(port, orders, 60_000).catch((error: Error) => {
    throw new Error(`${error.message}\ncompensating: ${service.compensator.inFlight}; log: ${errors()}`);
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
  expect(service.threads.counters()).toEqual({ groups: 0, unsettled: 0, exclusivePermits: 0, exclusiveWaiting: 0, watchedGroups: 0 });
  expect(service.orderService.inFlight).toBe(0);
  const { running: stillRunning, started, finished } = service.threads.totals();
  expect(started).toBeGreaterThan(ORDERS);
  expect({ stillRunning, open: started - finished }).toEqual({ stillRunning: 0, open: 0 });
  console.info(`SEED=${SEED} clients=${clients} deadline=${deadlineMs} ms attempts=${endings.length} placed=${placed.size}`, counts);
  await standIn.close();
});
