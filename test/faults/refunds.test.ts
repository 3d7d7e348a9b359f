import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import type { EventOutbox } from "../../src/orders/order-event.ts";
import { WebhookDelivery } from "../../src/webhooks/delivery.ts";
import { FakeClock } from "../resilience/fake-clock.ts";
import { Compensating, refused } from "./compensating.ts";

const OK = { status: "ok" } as const;
// Of a row that failed once; a queue looks 50 ms after a try at the earliest.
const FIRST_PAUSE_MS = 200;
const LOOK_MS = 50;

test("a refund that is asked to wait is not tried before, a minute at most, and is tried then; another order's goes out meanwhile", async () => {
  await using at = await Compensating.open();
  await at.failAndRefund("asked", refused("HTTP 503", 30_000));
  await at.advance(30_000 - 1);
  expect(at.refundsOf("asked")).toHaveLength(1);
  await at.failAndRefund("other", OK);
  expect(at.refundsOf("other")).toHaveLength(1);
  await at.advance(LOOK_MS + 1);
  expect(at.refundsOf("asked")).toHaveLength(2);
  at.refundsOf("asked").at(-1)?.end(refused("HTTP 429", 3_600_000));
  await at.settle();
  await at.advance(60_000 - 1);
  expect(at.refundsOf("asked")).toHaveLength(2);
  await at.advance(LOOK_MS + 1);
  expect(at.refundsOf("asked")).toHaveLength(3);
  // Nobody was asked to wait but that one order's.
  expect(at.down).toEqual([]);
});

test("three refunds in a row that are asked to wait hold the address: first tries of new orders wait too, and go out when the time is over", async () => {
  await using at = await Compensating.open();
  for (const orderId of ["a", "b", "c"]) await at.failAndRefund(orderId, refused("HTTP 503", 20_000));
  expect(at.refunds).toHaveLength(3);
  const tries = await at.fail("new");
  await at.answer("new", tries);
  expect(at.refundsOf("new")).toEqual([]);
  const [row] = (await at.journal.compensations("pending", undefined, 10)).items.filter(({ orderId }) => orderId === "new");
  expect(row?.tries).toBe(0);
  await at.advance(20_000 - 1);
  expect(at.refunds).toHaveLength(3);
  await at.advance(LOOK_MS + 1);
  expect(at.refundsOf("new")).toHaveLength(1);
});

test("two refunds in a row that are asked to wait hold nobody else", async () => {
  await using at = await Compensating.open();
  for (const orderId of ["a", "b"]) await at.failAndRefund(orderId, refused("HTTP 503", 20_000));
  await at.fail("new");
  expect(at.refundsOf("new")).toHaveLength(1);
});

test.each(["HTTP 400", "HTTP 500", "ECONNRESET"])(
  "five first tries that are refused one after the other, with %s, take the address down; four of them and a success do not",
  async (answer) => {
    await using at = await Compensating.open();
    for (let n = 0; n < 4; n++) await at.failAndRefund(`well-${n}`, refused(answer));
    await at.failAndRefund("well", OK);
    for (let n = 0; n < 4; n++) await at.failAndRefund(`down-${n}`, refused(answer));
    expect(at.down).toEqual([]);
    await at.failAndRefund("down-4", refused(answer));
    expect(at.down).toEqual([true]);
  },
);

test("rows that are refused again and again do not take the address down, however many there are", async () => {
  await using at = await Compensating.open();
  // The first tries of four orders, with a success behind them; then their rows only.
  for (let n = 0; n < 4; n++) await at.failAndRefund(`bad-${n}`, refused("HTTP 500"));
  await at.failAndRefund("good", OK);
  for (let round = 0; round < 10; round++) {
    await at.advance(FIRST_PAUSE_MS * 2 ** round + LOOK_MS);
    for (const call of at.refunds) call.end(refused("HTTP 500"));
    await at.settle();
  }
  expect(at.refundsOf("bad-0").length).toBeGreaterThan(8);
  expect(at.down).toEqual([]);
});

test("a refund that was done and cannot be stored yet is not made again, by nobody, and is stored when it can be", async () => {
  await using at = await Compensating.open();
  await at.failAndRefund("o", refused("HTTP 500"));
  await at.advance(FIRST_PAUSE_MS + LOOK_MS);
  expect(at.refunds).toHaveLength(2);
  at.refusesResults = true;
  at.refunds.at(-1)?.end(OK);
  await at.settle();
  expect(at.faults).toEqual(["compensations are not written down yet"]);
  const [row] = (await at.journal.compensations("trying", undefined, 10)).items;
  expect(row).toMatchObject({ orderId: "o", tries: 1 });
  for (let n = 0; n < 20; n++) {
    at.compensator.notify();
    await at.advance(10_000);
  }
  const taken = await at.journal.takeCompensation(row?.id as number, at.clock.nowMs(), "an operator");
  // As it was: only one that is pending is taken.
  expect(taken?.status).toBe("trying");
  // A new order's refund shows that the queues go on.
  at.refusesResults = false;
  await at.failAndRefund("other", OK);
  await at.advance(10_000);
  expect(at.refundsOf("other")).toHaveLength(1);
  expect(at.refundsOf("o")).toHaveLength(2);
  expect((await at.journal.compensation(row?.id as number))?.status).toBe("done");
});

test("first tries that were done after the answer and cannot be stored yet are not made again", async () => {
  await using at = await Compensating.open();
  const tries = await at.fail("o");
  await at.answer("o", tries);
  at.refusesResults = true;
  at.refunds[0]?.end(OK);
  await at.settle();
  expect(at.faults).toEqual(["compensations are not written down yet"]);
  for (let n = 0; n < 20; n++) {
    at.compensator.notify();
    await at.advance(10_000);
  }
  at.refusesResults = false;
  await at.advance(10_000);
  expect(at.refunds).toHaveLength(1);
  expect((await at.journal.compensations("done", undefined, 10)).items).toHaveLength(1);
});

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

let clock: FakeClock;
let journal: Journal;
let delivery: WebhookDelivery;
/** The orders whose events were sent, one for each request. */
let sent: string[];
/** Calls of the outbox that are under way. */
let busy: number;

beforeEach(async () => {
  clock = new FakeClock();
  sent = [];
  busy = 0;
  journal = await Journal.open("memory", { events: true });
  const outbox = new Proxy<EventOutbox>(journal, {
    get(target, name) {
      const method = Reflect.get(target, name, target) as (...all: unknown[]) => Promise<unknown>;
      return async (...all: unknown[]) => {
        busy++;
        try {
          return await method.apply(target, all);
        } finally {
          busy--;
        }
      };
    },
  });
  const log = () => {};
  delivery = new WebhookDelivery({
    outbox,
    url: "http://receiver.invalid/",
    secrets: [],
    log: { debug: log, info: log, warn: log, error: log },
    clock,
    random: () => 1,
    post: async ({ body }) => {
      const { order_id: orderId } = JSON.parse(String(body)).data;
      sent.push(orderId);
      return orderId.startsWith("asks") ? { status: 503, retryAfter: "3600" } : { status: 204, retryAfter: undefined };
    },
  });
});

afterEach(async () => {
  await delivery.stop();
  await journal.close();
});

/** An order is placed, whose event is due at once. */
async function place(orderId: string): Promise<void> {
  const nowMs = clock.nowMs();
  await journal.accept({ orderId, amount: 1, nowMs });
  await journal.finish({ orderId, attempt: 1, answer: { json: "{}" }, answered: true, compensations: [], nowMs });
  delivery.notify();
  await settle();
}

async function settle(): Promise<void> {
  for (let idle = 0; idle < 10; idle = busy === 0 ? idle + 1 : 0) await turn();
}

async function advance(ms: number): Promise<void> {
  const endMs = clock.nowMs() + ms;
  await settle();
  for (let nextMs = clock.nextMs; nextMs !== undefined && clock.nowMs() + nextMs <= endMs; nextMs = clock.nextMs) {
    clock.advance(nextMs);
    await settle();
  }
  clock.advance(endMs - clock.nowMs());
}

test("an event that is answered with a Retry-After of an hour waits for it, alone: events of other orders go on", async () => {
  delivery.start();
  await place("asks");
  expect(sent).toEqual(["asks"]);
  for (let n = 0; n < 10; n++) await place(`other-${n}`);
  expect(sent).toEqual(["asks", ...Array.from({ length: 10 }, (_, n) => `other-${n}`)]);
  sent.length = 0;
  await advance(HOUR_MS - 1);
  expect(sent).toEqual([]);
  await advance(MINUTE_MS);
  expect(sent).toEqual(["asks"]);
});

test("three of them in a row hold back all events, for a minute at most", async () => {
  delivery.start();
  for (const orderId of ["asks-1", "asks-2", "asks-3"]) await place(orderId);
  await place("other");
  expect(sent).toEqual(["asks-1", "asks-2", "asks-3"]);
  await advance(MINUTE_MS - 1);
  expect(sent).toHaveLength(3);
  await advance(2);
  expect(sent).toEqual(["asks-1", "asks-2", "asks-3", "other"]);
});
