import { describe, expect, test } from "vitest";
import { parseWebhookSecret } from "../../src/webhooks/secret.ts";
import { Fixture, newSecret } from "./fixture.ts";
import { accept, type Behavior, hangUp, refuse } from "./receiver.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

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

  test("reads nothing before start, and starts once", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a");
    fixture.delivery.notify();
    await fixture.quiet();
    expect(fixture.outbox.reads).toBe(0);
    fixture.delivery.start();
    expect(() => fixture.delivery.start()).toThrow("started before");
    await fixture.delivered();
  });

  test("a notify while the outbox is being read is not lost", async () => {
    await using fixture = await Fixture.open();
    fixture.delivery.start();
    // The second one at every stage of the read that the first one started.
    for (let stage = 0; stage < 8; stage++) {
      fixture.add("first");
      fixture.delivery.notify();
      for (let turns = stage; turns > 0; turns--) await new Promise(setImmediate);
      fixture.add("second");
      fixture.delivery.notify();
      await fixture.untilAtOnce(() => fixture.outbox.size === 0);
      await fixture.quiet();
    }
    fixture.expectAllInOrder();
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

  test("a wrong secret would be noticed here", async () => {
    await using fixture = await Fixture.open({ secrets: [parseWebhookSecret(newSecret()) as never] });
    fixture.add("a");
    fixture.delivery.start();
    await fixture.delivered();
    expect(fixture.receiver.faults).toHaveLength(1);
  });
});

describe("a try that fails", () => {
  const cutInHead: Behavior = (_arrival, response) => {
    response.socket?.write("HTTP/1.1 200 OK\r\ncontent-le");
    response.socket?.end();
  };
  test.each<[string, Behavior, string]>([
    ["400", refuse(400), "HTTP 400"],
    ["500", refuse(500), "HTTP 500"],
    ["a redirect, which is not followed", refuse(307, { location: "/elsewhere" }), "HTTP 307"],
    ["304", refuse(304), "HTTP 304"],
    ["429", refuse(429), "HTTP 429"],
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

describe("the body of an answer", () => {
  test.each<[string, Behavior]>([
    ["is read", (_arrival, response) => void response.end("ok")],
    ["is cut off when it has no end", (_arrival, response) => endless(response)],
    ["may break off: the status was said", (_arrival, response) => breakOff(response)],
  ])("%s", async (_name, behavior) => {
    await using fixture = await Fixture.open();
    fixture.add("a", "a", "b");
    fixture.receiver.behavior = behavior;
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.outbox.size === 0);
    expect(fixture.receiver.arrivals).toHaveLength(3);
  });

  test("that does not come holds its request for 15 s at most", async () => {
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

  function endless(response: Parameters<Behavior>[1]): void {
    const more = (): void => {
      while (!response.destroyed && response.write("x".repeat(8_192)));
    };
    response.on("drain", more);
    more();
  }

  function breakOff(response: Parameters<Behavior>[1]): void {
    response.writeHead(200, { "content-length": 100 }).write("half", () => response.destroy());
  }
});

describe("a receiver that has too much to do", () => {
  test("Retry-After in seconds holds back every order", async () => {
    await using fixture = await Fixture.open({ maxRequests: 2 });
    fixture.add("a", "b", "c", "d");
    fixture.receiver.behavior = refuse(429, { "retry-after": "30" });
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.receiver.arrivals.length === 2);
    await fixture.quiet();
    fixture.receiver.behavior = accept;
    fixture.clock.advance(29_999);
    await fixture.quiet();
    expect(fixture.receiver.arrivals).toHaveLength(2);
    fixture.clock.advance(1);
    await fixture.untilAtOnce(() => fixture.outbox.size === 0);
    fixture.expectAllInOrder();
  });

  test("Retry-After as a date", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a");
    fixture.receiver.behavior = refuse(503, { "retry-after": new Date(fixture.clock.nowMs() + 2 * MINUTE_MS).toUTCString() });
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.receiver.arrivals.length === 1);
    await fixture.quiet();
    fixture.receiver.behavior = accept;
    fixture.clock.advance(2 * MINUTE_MS - 1_001);
    await fixture.quiet();
    expect(fixture.receiver.arrivals).toHaveLength(1);
    fixture.clock.advance(1_001);
    await fixture.untilAtOnce(() => fixture.outbox.size === 0);
  });

  test("Retry-After of a year is an hour", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a");
    fixture.receiver.behavior = refuse(503, { "retry-after": "31536000" });
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.receiver.arrivals.length === 1);
    await fixture.quiet();
    fixture.receiver.behavior = accept;
    fixture.clock.advance(HOUR_MS);
    await fixture.untilAtOnce(() => fixture.outbox.size === 0);
  });

  test("Retry-After with another failure holds back that event alone", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a", "b");
    fixture.receiver.behavior = (arrival, response, request) =>
      (arrival.seq === 1 && arrival.index < 2 ? refuse(500, { "retry-after": "300" }) : accept)(arrival, response, request);
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.outbox.size === 1);
    await fixture.quiet();
    fixture.clock.advance(300_000 - 1);
    await fixture.quiet();
    expect(fixture.receiver.seqs().toSorted()).toEqual([1, 2]);
    fixture.clock.advance(1);
    await fixture.untilAtOnce(() => fixture.outbox.size === 0);
  });

  test.each([429, 502, 503, 504])("%d halves the requests at a time; successes bring them back", async (status) => {
    await using fixture = await Fixture.open({ maxRequests: 8 });
    const gates: (() => void)[] = [];
    const gated: Behavior = (arrival, response, request) => {
      gates.push(() => void accept(arrival, response, request));
    };
    fixture.receiver.behavior = refuse(status);
    fixture.add("x", "y");
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.receiver.arrivals.length === 2);
    await fixture.quiet();
    fixture.receiver.behavior = gated;
    for (let index = 0; index < 8; index++) fixture.add(`order ${index}`);
    fixture.delivery.notify();
    await fixture.untilAtOnce(() => gates.length === 2);
    await fixture.turns();
    expect(fixture.receiver.inFlight).toBe(2);
    gates.shift()?.();
    await fixture.untilAtOnce(() => gates.length === 3);
    await fixture.turns();
    expect(fixture.receiver.inFlight).toBe(3);
    fixture.receiver.behavior = accept;
    for (const open of gates) open();
    await fixture.delivered();
    fixture.expectAllInOrder();
  });
});

describe("a receiver that is down", () => {
  test("is probed with one request at a time, ever more rarely, and gets everything once it is back", async () => {
    await using fixture = await Fixture.open();
    for (let index = 0; index < 100; index++) fixture.add(`order ${index % 40}`);
    fixture.receiver.behavior = hangUp;
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.delivery.state().receiver === "down");
    await fixture.quiet();
    const volley = fixture.receiver.arrivals.length;
    // 16 at once, and one more for each of the four failures before the fifth.
    expect(volley).toBeLessThanOrEqual(20);
    const since = fixture.clock.nowMs();
    await fixture.until(() => fixture.clock.nowMs() - since > 10 * MINUTE_MS);
    await fixture.quiet();
    const probes = fixture.receiver.arrivals.length - volley;
    // At the cap of ten seconds, of which half is chance.
    expect(probes).toBeGreaterThanOrEqual(60);
    expect(probes).toBeLessThanOrEqual(130);
    expect(fixture.outbox.size).toBe(100);

    fixture.receiver.behavior = accept;
    await fixture.until(() => fixture.delivery.state().receiver === "up");
    // Whatever had failed goes at once: no pause of its own keeps it.
    await fixture.untilAtOnce(() => fixture.outbox.size === 0);
    fixture.expectAllInOrder();
    expect(fixture.logged.filter(({ level }) => level === "info" || level === "warn").map(({ message }) => message)).toEqual(
      expect.arrayContaining(["the webhook receiver is down: probing it with one request at a time", "the webhook receiver is up again"]),
    );
  });

  test("nobody listens at first", async () => {
    await using fixture = await Fixture.open();
    await fixture.receiver.close();
    for (let index = 0; index < 50; index++) fixture.add(`order ${index % 7}`);
    fixture.delivery.start();
    const since = fixture.clock.nowMs();
    await fixture.until(() => fixture.clock.nowMs() - since > 10 * MINUTE_MS);
    expect(fixture.logged[0]).toMatchObject({ fields: { reason: "ECONNREFUSED" } });
    await fixture.receiver.listen();
    await fixture.delivered();
    fixture.expectAllInOrder();
  });

  test("a few events that are always refused do not make it look down to the others", async () => {
    await using fixture = await Fixture.open({ random: () => 1 });
    const bad = Array.from({ length: 20 }, (_, index) => `bad ${index}`);
    fixture.receiver.behavior = (arrival, response, request) =>
      (arrival.orderId.startsWith("bad") ? refuse(400) : accept)(arrival, response, request);
    fixture.add(...bad);
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.delivery.state().receiver === "down");
    fixture.add("good");
    fixture.delivery.notify();
    await fixture.until(() => fixture.outbox.size === 20);
    expect(fixture.delivery.state().receiver).toBe("up");
    const since = fixture.clock.nowMs();
    for (let round = 0; round < 20; round++) {
      await fixture.until(() => fixture.clock.nowMs() - since > round * MINUTE_MS);
      fixture.add("good");
      fixture.delivery.notify();
      await fixture.untilAtOnce(() => fixture.outbox.size === 20);
    }
  });

  test("events that are refused each for itself leave room for others beyond what is held", async () => {
    await using fixture = await Fixture.open();
    fixture.receiver.behavior = (arrival, response, request) =>
      (arrival.orderId.startsWith("bad") && !fixed ? refuse(422) : accept)(arrival, response, request);
    let fixed = false;
    for (let index = 0; index < 200; index++) fixture.add(index % 2 === 0 ? `bad ${index}` : `good ${index}`, `bad ${index & ~1}`);
    fixture.delivery.start();
    await fixture.until(() => fixture.outbox.size === 300);
    expect(fixture.outbox.mostAsked).toBeLessThanOrEqual(80);
    fixed = true;
    await fixture.delivered();
    fixture.expectAllInOrder();
  });
});

describe("410", () => {
  async function openGone(): Promise<Fixture> {
    const fixture = await Fixture.open();
    for (let index = 0; index < 40; index++) fixture.add(`order ${index % 10}`);
    fixture.receiver.behavior = (arrival, response, request) => (arrival.index < 12 ? accept : refuse(410))(arrival, response, request);
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.delivery.state().receiver === "disabled");
    await fixture.quiet();
    return fixture;
  }

  test("ends delivery until a restart and keeps the events", async () => {
    await using fixture = await openGone();
    const arrived = fixture.receiver.arrivals.length;
    expect(fixture.outbox.size).toBe(28);
    fixture.clock.advance(50);
    await fixture.quiet();
    // The check for expired events.
    expect(fixture.clock.timers).toBe(1);
    const { reads } = fixture.outbox;
    fixture.add("late");
    fixture.delivery.notify();
    await fixture.quiet();
    expect(fixture.outbox.reads).toBe(reads);
    expect(fixture.receiver.arrivals).toHaveLength(arrived);
    expect(fixture.logged.filter(({ level }) => level === "error")).toHaveLength(1);

    fixture.receiver.behavior = accept;
    await fixture.restart();
    await fixture.delivered();
    fixture.expectAllInOrder();
  });

  test("ends delivery until a resume, which may meet another one", async () => {
    await using fixture = await openGone();
    const arrived = fixture.receiver.arrivals.length;
    fixture.delivery.resume();
    await fixture.untilAtOnce(() => fixture.receiver.arrivals.length > arrived);
    await fixture.untilAtOnce(() => fixture.delivery.state().receiver === "disabled");
    await fixture.quiet();
    expect(fixture.outbox.size).toBe(28);

    fixture.receiver.behavior = accept;
    fixture.delivery.resume();
    fixture.delivery.resume();
    await fixture.untilAtOnce(() => fixture.outbox.size === 0);
    expect(fixture.delivery.state().receiver).toBe("up");
    fixture.expectAllInOrder();
    fixture.clock.advance(MINUTE_MS);
    await fixture.quiet();
    expect(fixture.clock.timers).toBe(0);
  });

  test("events keep their 24 h and are given up then, so that the outbox does not grow for ever", async () => {
    await using fixture = await openGone();
    const createdMs = fixture.clock.nowMs();
    const passed = async (ms: number): Promise<void> => void (await fixture.until(() => fixture.clock.nowMs() - createdMs >= ms));
    await passed(12 * HOUR_MS);
    for (let index = 0; index < 200; index++) fixture.add(`young ${index}`);
    await passed(24 * HOUR_MS - 1);
    expect(fixture.outbox.dead.size).toBe(0);
    await passed(24 * HOUR_MS + 2 * MINUTE_MS);
    await fixture.quiet();
    expect(fixture.outbox.dead.size).toBe(28);
    for (const { reason } of fixture.outbox.dead.values()) expect(reason).toContain("410");
    await passed(36 * HOUR_MS + 2 * MINUTE_MS);
    await fixture.quiet();
    expect(fixture.outbox.size).toBe(0);
    // Orders wait for a bounded transaction only.
    expect(fixture.outbox.mostGivenUpAtOnce).toBe(64);
  });

  test("what was under way when it came is marked, and stop ends the check for expired events", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a", "b");
    const gate = Promise.withResolvers<void>();
    fixture.receiver.behavior = async (arrival, response, request) => {
      if (arrival.orderId === "a") await gate.promise;
      return (arrival.orderId === "a" ? accept : refuse(410))(arrival, response, request);
    };
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.delivery.state().receiver === "disabled");
    gate.resolve();
    await fixture.untilAtOnce(() => fixture.outbox.size === 1);
    expect(fixture.outbox.delivered).toEqual([1]);
    await fixture.delivery.stop();
    expect(fixture.clock.timers).toBe(0);
    fixture.delivery.resume();
    await fixture.quiet();
    expect(fixture.receiver.arrivals).toHaveLength(2);
  });
});

describe("after 24 h", () => {
  test("an event is given up with the reason of its last failure, and the order's next one goes", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a", "a", "b");
    const createdMs = fixture.clock.nowMs();
    fixture.receiver.behavior = (arrival, response, request) => (arrival.seq === 1 ? refuse(418) : accept)(arrival, response, request);
    fixture.delivery.start();
    await fixture.until(() => fixture.outbox.dead.size === 1);
    const dead = fixture.outbox.dead.get(1);
    expect(dead?.reason).toBe("HTTP 418");
    expect((dead?.atMs ?? 0) - createdMs).toBe(24 * HOUR_MS);
    await fixture.delivered();
    fixture.expectAllInOrder();
    expect(fixture.receiver.arrivals.filter(({ seq }) => seq === 1).length).toBeLessThan(300);
    expect(fixture.logged.filter(({ level }) => level === "error")).toMatchObject([
      { fields: { order_id: "a", seq: 1, reason: "HTTP 418" } },
    ]);
  });

  test("a receiver that is down is asked with one event for all, also for those not yet read", async () => {
    await using fixture = await Fixture.open({ maxRequests: 4 });
    for (let index = 0; index < 500; index++) fixture.add(`order ${index % 90}`);
    const createdMs = fixture.clock.nowMs();
    fixture.clock.advance(23 * HOUR_MS);
    fixture.receiver.behavior = hangUp;
    fixture.delivery.start();
    await fixture.until(() => fixture.outbox.dead.size > 0);
    await fixture.quiet();
    expect(fixture.outbox.dead.size).toBe(500);
    for (const { reason, atMs } of fixture.outbox.dead.values()) {
      expect(reason).toContain("ECONNRESET");
      expect(atMs - createdMs).toBeGreaterThanOrEqual(24 * HOUR_MS);
      expect(atMs - createdMs).toBeLessThan(24 * HOUR_MS + 2 * MINUTE_MS);
    }
    expect(fixture.outbox.mostGivenUpAtOnce).toBe(64);
    fixture.receiver.behavior = accept;
    fixture.add("order 1");
    fixture.delivery.notify();
    await fixture.delivered();
    fixture.expectAllInOrder();
  });

  test("younger events stay", async () => {
    await using fixture = await Fixture.open();
    fixture.add("a", "b");
    fixture.clock.advance(10 * HOUR_MS);
    fixture.add("a", "c");
    fixture.clock.advance(14 * HOUR_MS - 10 * MINUTE_MS);
    await fixture.receiver.close();
    fixture.delivery.start();
    await fixture.until(() => fixture.outbox.dead.size > 0);
    await fixture.quiet();
    expect([...fixture.outbox.dead.keys()].toSorted()).toEqual([1, 2]);
    await fixture.receiver.listen();
    await fixture.delivered();
    fixture.expectAllInOrder();
  });

  test("an event that is under way is not given up with the others", async () => {
    await using fixture = await Fixture.open({ startGraceMs: 0 });
    fixture.add("a", "b", "c", "d", "e", "slow");
    fixture.clock.advance(24 * HOUR_MS);
    const gate = Promise.withResolvers<void>();
    fixture.receiver.behavior = async (arrival, response, request) => {
      if (arrival.orderId !== "slow") return hangUp(arrival, response, request);
      await gate.promise;
      return accept(arrival, response, request);
    };
    fixture.delivery.start();
    await fixture.untilAtOnce(() => fixture.outbox.dead.size === 5);
    await fixture.turns();
    expect(fixture.delivery.state()).toEqual({ receiver: "down", inFlight: 1 });
    gate.resolve();
    await fixture.untilAtOnce(() => fixture.outbox.size === 0);
    expect(fixture.outbox.dead.size).toBe(5);
    expect(fixture.outbox.delivered).toEqual([6]);
  });

  test("after a long stop an event still gets its try, and a receiver that starts later a minute", async () => {
    await using fixture = await Fixture.open();
    for (let index = 0; index < 30; index++) fixture.add(`order ${index}`);
    fixture.clock.advance(48 * HOUR_MS);
    fixture.receiver.behavior = hangUp;
    fixture.delivery.start();
    const since = fixture.clock.nowMs();
    await fixture.until(() => fixture.clock.nowMs() - since > 30_000);
    expect(fixture.outbox.dead.size).toBe(0);
    fixture.receiver.behavior = accept;
    await fixture.delivered();
    expect(fixture.outbox.dead.size).toBe(0);
    fixture.expectAllInOrder();
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
