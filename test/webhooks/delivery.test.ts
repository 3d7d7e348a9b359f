import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { OrderEvent } from "../../src/orders/order-event.ts";
import { CancelScope, monotonicMs, SYSTEM_CLOCK } from "../../src/threads/index.ts";
import { TakenEvents } from "../../src/webhooks/taken-events.ts";
import { Fixture, newSecret } from "./fixture.ts";
import { accept, type Behavior, hangUp, refuse } from "./receiver.ts";

const MINUTE_MS = 60_000;

describe("when all is well", () => {
  test("delivers what was in the outbox and what comes, each once, signed", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a", "b", "a");
    fixture.delivery.start();
    await fixture.delivered();
    fixture.add("b", "a", "c");
    fixture.delivery.notify();
    await fixture.untilAtOnce(() => fixture.outbox.size === 0);
    await fixture.quiet();
    fixture.expectAllInOrder();
    expect(fixture.receiver.arrivals).toHaveLength(6);
    expect(fixture.delivery.state()).toEqual({ receiver: "up", inFlight: 0 });
    // The last look whether something is left.
    fixture.clock.advance(50);
    await fixture.quiet();
    expect(fixture.clock.timers).toBe(0);
  });

  test("as many requests at a time as allowed, but one an order", async () => {
    await using fixture = await Fixture.open({ maxRequests: 4 });
    for (let index = 0; index < 10; index++) fixture.add(`order ${index}`, "busy");
    const gate = Promise.withResolvers<void>();
    fixture.receiver.behavior = async (arrival, response) => {
      await gate.promise;
      accept(arrival, response, response.req);
    };
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.receiver.inFlight === 4);
    expect(fixture.receiver.arrivals.filter(({ orderId }) => orderId === "busy")).toHaveLength(1);
    gate.resolve();
    await fixture.delivered();
    expect(fixture.receiver.mostInFlight).toBe(4);
    fixture.expectAllInOrder();
  });

  test("the next event of an order waits until the one before it is marked, not only answered", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a", "a");
    fixture.receiver.behavior = (arrival, response, request) => {
      if (arrival.seq === 1) fixture.outbox.unavailable = true;
      accept(arrival, response, request);
    };
    fixture.delivery.start();
    await fixture.until(() => fixture.clock.asked.filter((delayMs) => delayMs < 5_000).length >= 3);
    expect(fixture.receiver.seqs()).toEqual([1]);
    fixture.outbox.unavailable = false;
    await fixture.delivered();
    expect(fixture.receiver.seqs()).toEqual([1, 2]);
  });

  test("during a rotation both secrets sign", async () => {
    await using fixture = await Fixture.open();
    const next = newSecret(64);
    fixture.receiver.secrets = [fixture.secret, next];
    await fixture.restart();
    fixture.add("a");
    fixture.delivery.notify();
    await fixture.delivered();
    fixture.expectAllInOrder();
    expect(fixture.receiver.arrivals[0]?.signatures).toHaveLength(2);

    fixture.receiver.secrets = [next];
    await fixture.restart();
    fixture.add("b");
    fixture.delivery.notify();
    await fixture.delivered();
    expect(fixture.receiver.faults).toEqual([]);
    expect(fixture.receiver.arrivals[1]?.signatures).toHaveLength(1);
  });
});

describe("a journal that is unavailable", () => {
  test.each([
    ["from the start", undefined],
    ["in the middle", 20],
  ])("%s: delivery waits and goes on", async (_name, after) => {
    await using fixture = await Fixture.open();
    for (let index = 0; index < 60; index++) fixture.add(`order ${index % 25}`);
    fixture.receiver.behavior = (arrival, response, request) => {
      if (arrival.index === after) fixture.outbox.unavailable = true;
      accept(arrival, response, request);
    };
    fixture.outbox.unavailable = after === undefined;
    fixture.delivery.start();
    const since = fixture.clock.nowMs();
    await fixture.until(() => fixture.clock.nowMs() - since > 5 * MINUTE_MS);
    // What was under way, and no more: it could not be marked.
    expect(fixture.receiver.arrivals.length).toBeLessThanOrEqual(after === undefined ? 0 : after + 16);
    fixture.outbox.unavailable = false;
    await fixture.delivered();
    fixture.expectAllInOrder();
    expect(fixture.receiver.arrivals).toHaveLength(60);
    expect(fixture.logged.map(({ level }) => level)).toEqual(["warn", "info"]);
  });
});

describe("a try that fails", () => {
  const cutInHead: Behavior = (_arrival, response) => {
    response.socket?.write("HTTP/1.1 200 OK\r\ncontent-le");
    response.socket?.end();
  };
  test.each<[string, Behavior, string]>([
    ["400", refuse(400), "HTTP 400"],
    ["a redirect, which is not followed", refuse(307, { location: "/elsewhere" }), "HTTP 307"],
    ["a hang-up before the answer", hangUp, "ECONNRESET"],
    ["a hang-up within the head of the answer", cutInHead, "ECONNRESET"],
    ["no HTTP at all", (_arrival, response) => void response.socket?.end("220 mail.example ESMTP\r\n"), "HPE_INVALID_CONSTANT"],
  ])("%s: is tried again, with the same id and a fresh timestamp, and holds up its own order only", async (_name, behavior, reason) => {
    await using fixture = await Fixture.open();
    fixture.add("a", "a", "b", "b");
    fixture.receiver.behavior = (arrival, response, request) => {
      const failing = arrival.seq === 1 && fixture.receiver.arrivals.filter(({ seq }) => seq === 1).length <= 3;
      return (failing ? behavior : accept)(arrival, response, request);
    };
    fixture.delivery.start();
    await fixture.delivered();
    fixture.expectAllInOrder();
    const tries = fixture.receiver.arrivals.filter(({ seq }) => seq === 1);
    expect(tries).toHaveLength(4);
    const [first, , , last] = tries;
    expect((last?.atSeconds ?? 0) - (first?.atSeconds ?? 0)).toBeGreaterThanOrEqual(3);
    const others = fixture.receiver.arrivals.filter(({ orderId }) => orderId === "b").map(({ index }) => index);
    expect(others.every((index) => index < (tries[1]?.index ?? 0))).toBe(true);
    expect(fixture.logged[0]).toMatchObject({ level: "warn", fields: { order_id: "a", seq: 1, reason } });
  });

  test("pauses grow up to ten minutes", async () => {
    await using fixture = await Fixture.open({ random: () => 1 });
    fixture.add("a");
    fixture.receiver.behavior = refuse(400);
    fixture.delivery.start();
    await fixture.until(() => fixture.receiver.arrivals.length === 13);
    const times = fixture.receiver.arrivals.map(({ atSeconds }) => atSeconds);
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(gaps).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
  });

  test("no answer within 15 s", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a");
    fixture.receiver.behavior = fixture.receiver.keepSilent;
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.receiver.silent === 1);
    fixture.clock.advance(14_999);
    await fixture.quiet();
    expect(fixture.receiver.silent).toBe(1);
    fixture.clock.advance(1);
    await fixture.untilAtOnce(() => fixture.receiver.silent === 0);
    fixture.receiver.behavior = accept;
    await fixture.delivered();
    expect(fixture.receiver.arrivals).toHaveLength(2);
    expect(fixture.logged[0]).toMatchObject({ fields: { reason: "no answer in time" } });
  });
});

test("the body of an answer that does not come holds its request for 15 s at most", async () => {
  await using fixture = await Fixture.open();
  fixture.add("a");
  fixture.receiver.behavior = (arrival, response, request) => {
    response.writeHead(200).write("wait for it");
    return fixture.receiver.keepSilent(arrival, response, request);
  };
  fixture.delivery.start();
  await fixture.untilAtOnce(() => fixture.receiver.silent === 1);
  await fixture.quiet();
  fixture.clock.advance(15_000);
  await fixture.untilAtOnce(() => fixture.outbox.size === 0);
  expect(fixture.receiver.arrivals).toHaveLength(1);
});

const SURE = Number.POSITIVE_INFINITY;
const EVENT = {} as OrderEvent;

function taken() {
  const node = { life: 1, sureMs: SURE, sureUntilMs: () => node.sureMs };
  const scope = new CancelScope();
  const events = new TakenEvents(node, scope, SYSTEM_CLOCK);
  events.note([EVENT]);
  return { node, scope, events };
}

test("an event is a node's own as long as it is sure of its life, and no longer once others have ended that", async () => {
  const { node, events } = taken();
  expect(await events.isOwn(EVENT)).toBe(true);
  node.life = 2;
  expect(await events.isOwn(EVENT)).toBe(false);
});

test.each([
  ["own again once it is sure of the same life", 1, true],
  ["others' once it has begun a new life", 2, false],
])("a node that is not sure, as after it was frozen, waits: the event is %s", async (_what, life, isOwn) => {
  const { node, events } = taken();
  node.sureMs = monotonicMs();
  let answer: boolean | undefined;
  const asked = Promise.resolve(events.isOwn(EVENT)).then((own) => (answer = own));
  await turn();
  expect([answer, events.isSurelyOwn(EVENT)]).toEqual([undefined, false]);
  node.life = life;
  node.sureMs = SURE;
  expect(await asked).toBe(isOwn);
  expect(events.isSurelyOwn(EVENT)).toBe(isOwn);
});

test("a stop ends the wait, and nothing is sent", async () => {
  const { node, scope, events } = taken();
  node.sureMs = monotonicMs();
  const asked = events.isOwn(EVENT);
  scope.cancel("shutdown");
  expect(await asked).toBe(false);
});

test("without other nodes every event is its own", async () => {
  expect(await new TakenEvents(undefined, new CancelScope(), SYSTEM_CLOCK).isOwn(EVENT)).toBe(true);
});
