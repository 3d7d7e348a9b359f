import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import type { EventOutbox } from "../../src/orders/order-event.ts";
import { WebhookDelivery } from "../../src/webhooks/delivery.ts";
import { FakeClock } from "../resilience/fake-clock.ts";

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
