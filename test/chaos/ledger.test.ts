import { mkdtempSync, rmSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type AttemptEnding, balance } from "../../load/stand-in/balance.ts";
import type { FaultRateSettings } from "../../load/stand-in/fault-rates.ts";
import { randomFrom } from "../../load/stand-in/random.ts";
import { spawnStandIn } from "../../load/stand-in/spawn.ts";
import { perStepSetting } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { type Sending, send } from "../support/http-client.ts";
import { measurePace } from "../support/pace.ts";
import { startService } from "../support/service.ts";
import { runUntilSeen } from "../support/until-seen.ts";

const SEED = process.env.SEED ?? String(Date.now());
// Thousands more, with kills of the process and restores, are in `npm run campaign:ledger`.
const ORDERS = 300;
// The worst answers that a client can get, each to be seen a few times.
const KINDS = ["payment_declined", "payment_unavailable", "vendor_unavailable", "no_courier", "internal", "timeout"];
const LIMIT_MS = 600_000;

/**
 * The deadline of an order, in times of a quiet one: on a bad day an order takes more calls, and the machine may become
 * slower than it was when it was measured.
 */
const DEADLINE_TIMES = 5;

/**
 * A bad day: failing, slow, hanging-up and late-answering providers, down now and then. How late and how slow are shares
 * of the order's deadline, so that at every deadline some calls meet it, some miss it and some come after their compensation.
 */
function badDay(deadlineMs: number): FaultRateSettings {
  const share = (least: number, most: number) => [Math.ceil(deadlineMs * least), Math.ceil(deadlineMs * most)] as const;
  return {
    refuse: 0.03,
    failBefore: 0.02,
    failAfter: 0.02,
    hangUpBefore: 0.02,
    hangUpAfter: 0.02,
    hangUpHalfway: 0.02,
    late: 0.04,
    endless: 0.005,
    down: 0.0005,
    slow: 0.3,
    slowMs: share(0, 0.24),
    lateMs: share(0.08, 1.6),
    downMs: [20, 150],
  };
}

/** What a client keeps of one request for an order that was answered. */
interface Answered {
  readonly orderId: string;
  readonly amount: number;
  readonly key?: string;
  readonly status: number;
  readonly text: string;
}

/** Statuses of requests that were refused before any step ran, of which nothing is kept. */
const REFUSED = new Set([409, 422]);

function ranToAnEnd({ status, text }: Answered): boolean {
  return !REFUSED.has(status) && text.includes('"steps"');
}

/** Places an order; undefined when the connection broke or the client hung up. */
async function ask(
  port: number,
  order: { readonly orderId: string; readonly amount: number; readonly key?: string },
  more: Sending = {},
): Promise<Answered | undefined> {
  const headers = order.key === undefined ? {} : { "idempotency-key": order.key };
  const body = { order_id: order.orderId, amount: order.amount };
  const received = await send(port, { method: "POST", path: "/order", headers, body, ...more }).catch(() => undefined);
  return received && { ...order, status: received.status, text: received.text };
}

interface View {
  readonly attempts: readonly {
    readonly attempt: number;
    readonly status: "running" | "ok" | "error";
    readonly compensations: readonly { readonly status: "done" | "pending" }[];
  }[];
}

// One after the other, every answer would wait for two idle processes to be woken up; on a busy machine that takes long.
const READERS = 8;

/**
 * How every attempt at these orders ended, as `GET /order/{id}` says. Waits until every compensation is done, for each order
 * `timeoutMs`. An order that was never written down has no attempts.
 */
async function endingsOf(port: number, orders: ReadonlyMap<string, number>, timeoutMs: number): Promise<AttemptEnding[]> {
  const agent = new Agent({ keepAlive: true });
  const endings: AttemptEnding[] = [];
  const left = orders.entries();
  const reader = async () => {
    for (const [orderId, amount] of left) {
      const view = await eventually<View | undefined>(
        `the end of ${orderId}`,
        async () => {
          const { status, json } = await send(port, { path: `/order/${encodeURIComponent(orderId)}`, agent });
          return status === 404 ? undefined : json;
        },
        (seen) =>
          seen?.attempts.every(
            ({ status, compensations }) => status !== "running" && compensations.every((one) => one.status === "done"),
          ) ?? true,
        timeoutMs,
      );
      for (const { attempt, status } of view?.attempts ?? []) endings.push({ orderId, attempt, ok: status === "ok", amount });
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader)).finally(() => agent.destroy());
  return endings;
}

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
    if (n % 40 === 20 && service.threads.killThread() !== undefined) counts.killed++;
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
    { what: "steps that ran", atLeast: 2.5 * ORDERS, seen: () => service.threads.statistics().started },
    { what: "placed", atLeast: ORDERS / 5, seen: () => distinct.placed.size },
    { what: "failed", atLeast: ORDERS / 10, seen: () => distinct.failed.size },
    { what: "repeated", atLeast: ORDERS / 50, seen: () => counts.repeated },
    { what: "hung up", atLeast: ORDERS / 50, seen: () => counts.hungUp },
    { what: "killed threads", atLeast: 2, seen: () => counts.killed },
    ...KINDS.map((kind) => ({ what: kind, atLeast: 2, seen: () => distinct.kinds.get(kind) ?? 0 })),
    { what: "calls after their compensation", atLeast: 2, seen: async () => (await standIn.ledger()).counts.tooLate },
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
  const { running: stillRunning, started, finished } = service.threads.statistics();
  expect(started).toBeGreaterThan(ORDERS);
  expect({ stillRunning, open: started - finished }).toEqual({ stillRunning: 0, open: 0 });
  console.info(`SEED=${SEED} clients=${clients} deadline=${deadlineMs} ms attempts=${endings.length} placed=${placed.size}`, counts);
  await standIn.close();
});
