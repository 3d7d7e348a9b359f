import { describe, expect, test } from "vitest";
import { parseWebhookSecret } from "../../src/webhooks/secret.ts";
import { accept, type Behavior, hangUp, refuse } from "./receiver.ts";
import { newSecret, Rig } from "./rig.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

describe("when all is well", () => {
  test("delivers what was in the outbox and what comes, each once, signed", async () => {
    await using rig = await Rig.open();
    rig.add("a", "b", "a");
    rig.delivery.start();
    await rig.delivered();
    rig.add("b", "a", "c");
    rig.delivery.notify();
    await rig.untilAtOnce(() => rig.outbox.size === 0);
    await rig.quiet();
    rig.expectAllInOrder();
    expect(rig.receiver.arrivals).toHaveLength(6);
    expect(rig.delivery.state()).toEqual({ receiver: "up", inFlight: 0 });
    // The last look whether something is left.
    rig.clock.advance(50);
    await rig.quiet();
    expect(rig.clock.timers).toBe(0);
  });

  test("reads nothing before start, and starts once", async () => {
    await using rig = await Rig.open();
    rig.add("a");
    rig.delivery.notify();
    await rig.quiet();
    expect(rig.outbox.reads).toBe(0);
    rig.delivery.start();
    expect(() => rig.delivery.start()).toThrow("started before");
    await rig.delivered();
  });

  test("a notify while the outbox is being read is not lost", async () => {
    await using rig = await Rig.open();
    rig.delivery.start();
    // The second one at every stage of the read that the first one started.
    for (let stage = 0; stage < 8; stage++) {
      rig.add("first");
      rig.delivery.notify();
      for (let turns = stage; turns > 0; turns--) await new Promise(setImmediate);
      rig.add("second");
      rig.delivery.notify();
      await rig.untilAtOnce(() => rig.outbox.size === 0);
      await rig.quiet();
    }
    rig.expectAllInOrder();
  });

  test("as many requests at a time as allowed, but one an order", async () => {
    await using rig = await Rig.open({ maxRequests: 4 });
    for (let index = 0; index < 10; index++) rig.add(`order ${index}`, "busy");
    const gate = Promise.withResolvers<void>();
    rig.receiver.behavior = async (arrival, response) => {
      await gate.promise;
      accept(arrival, response, response.req);
    };
    rig.delivery.start();
    await rig.untilAtOnce(() => rig.receiver.inFlight === 4);
    expect(rig.receiver.arrivals.filter(({ orderId }) => orderId === "busy")).toHaveLength(1);
    gate.resolve();
    await rig.delivered();
    expect(rig.receiver.mostInFlight).toBe(4);
    rig.expectAllInOrder();
  });

  test("the next event of an order waits until the one before it is marked, not only answered", async () => {
    await using rig = await Rig.open();
    rig.add("a", "a");
    rig.receiver.behavior = (arrival, response, request) => {
      if (arrival.seq === 1) rig.outbox.unavailable = true;
      accept(arrival, response, request);
    };
    rig.delivery.start();
    await rig.until(() => rig.clock.asked.filter((delayMs) => delayMs < 5_000).length >= 3);
    expect(rig.receiver.seqs()).toEqual([1]);
    rig.outbox.unavailable = false;
    await rig.delivered();
    expect(rig.receiver.seqs()).toEqual([1, 2]);
  });

  test("during a rotation both secrets sign", async () => {
    await using rig = await Rig.open();
    const next = newSecret(64);
    rig.receiver.secrets = [rig.secret, next];
    await rig.restart();
    rig.add("a");
    rig.delivery.notify();
    await rig.delivered();
    rig.expectAllInOrder();
    expect(rig.receiver.arrivals[0]?.signatures).toHaveLength(2);

    rig.receiver.secrets = [next];
    await rig.restart();
    rig.add("b");
    rig.delivery.notify();
    await rig.delivered();
    expect(rig.receiver.faults).toEqual([]);
    expect(rig.receiver.arrivals[1]?.signatures).toHaveLength(1);
  });

  test("a wrong secret would be noticed here", async () => {
    await using rig = await Rig.open({ secrets: [parseWebhookSecret(newSecret()) as never] });
    rig.add("a");
    rig.delivery.start();
    await rig.delivered();
    expect(rig.receiver.faults).toHaveLength(1);
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
    await using rig = await Rig.open();
    rig.add("a", "a", "b", "b");
    rig.receiver.behavior = (arrival, response, request) => {
      const failing = arrival.seq === 1 && rig.receiver.arrivals.filter(({ seq }) => seq === 1).length <= 3;
      return (failing ? behavior : accept)(arrival, response, request);
    };
    rig.delivery.start();
    await rig.delivered();
    rig.expectAllInOrder();
    const tries = rig.receiver.arrivals.filter(({ seq }) => seq === 1);
    expect(tries).toHaveLength(4);
    const [first, , , last] = tries;
    expect((last?.atSeconds ?? 0) - (first?.atSeconds ?? 0)).toBeGreaterThanOrEqual(3);
    const others = rig.receiver.arrivals.filter(({ orderId }) => orderId === "b").map(({ index }) => index);
    expect(others.every((index) => index < (tries[1]?.index ?? 0))).toBe(true);
    expect(rig.logged[0]).toMatchObject({ level: "warn", fields: { order_id: "a", seq: 1, reason } });
  });

  test("pauses grow up to ten minutes", async () => {
    await using rig = await Rig.open({ random: () => 1 });
    rig.add("a");
    rig.receiver.behavior = refuse(400);
    rig.delivery.start();
    await rig.until(() => rig.receiver.arrivals.length === 13);
    const times = rig.receiver.arrivals.map(({ atSeconds }) => atSeconds);
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(gaps).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
  });

  test("no answer within 15 s", async () => {
    await using rig = await Rig.open();
    rig.add("a");
    rig.receiver.behavior = rig.receiver.keepSilent;
    rig.delivery.start();
    await rig.untilAtOnce(() => rig.receiver.silent === 1);
    rig.clock.advance(14_999);
    await rig.quiet();
    expect(rig.receiver.silent).toBe(1);
    rig.clock.advance(1);
    await rig.untilAtOnce(() => rig.receiver.silent === 0);
    rig.receiver.behavior = accept;
    await rig.delivered();
    expect(rig.receiver.arrivals).toHaveLength(2);
    expect(rig.logged[0]).toMatchObject({ fields: { reason: "no answer in time" } });
  });
});

describe("the body of an answer", () => {
  test.each<[string, Behavior]>([
    ["is read", (_arrival, response) => void response.end("ok")],
    ["is cut off when it has no end", (_arrival, response) => endless(response)],
    ["may break off: the status was said", (_arrival, response) => breakOff(response)],
  ])("%s", async (_name, behavior) => {
    await using rig = await Rig.open();
    rig.add("a", "a", "b");
    rig.receiver.behavior = behavior;
    rig.delivery.start();
    await rig.untilAtOnce(() => rig.outbox.size === 0);
    expect(rig.receiver.arrivals).toHaveLength(3);
  });

  test("that does not come holds its request for 15 s at most", async () => {
    await using rig = await Rig.open();
    rig.add("a");
    rig.receiver.behavior = (arrival, response, request) => {
      response.writeHead(200).write("wait for it");
      return rig.receiver.keepSilent(arrival, response, request);
    };
    rig.delivery.start();
    await rig.untilAtOnce(() => rig.receiver.silent === 1);
    await rig.quiet();
    rig.clock.advance(15_000);
    await rig.untilAtOnce(() => rig.outbox.size === 0);
    expect(rig.receiver.arrivals).toHaveLength(1);
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
    await using rig = await Rig.open({ maxRequests: 2 });
    rig.add("a", "b", "c", "d");
    rig.receiver.behavior = refuse(429, { "retry-after": "30" });
    rig.delivery.start();
    await rig.untilAtOnce(() => rig.receiver.arrivals.length === 2);
    await rig.quiet();
    rig.receiver.behavior = accept;
    rig.clock.advance(29_999);
    await rig.quiet();
    expect(rig.receiver.arrivals).toHaveLength(2);
    rig.clock.advance(1);
    await rig.untilAtOnce(() => rig.outbox.size === 0);
    rig.expectAllInOrder();
  });

  test("Retry-After as a date", async () => {
    await using rig = await Rig.open();
    rig.add("a");
    rig.receiver.behavior = refuse(503, { "retry-after": new Date(rig.clock.nowMs() + 2 * MINUTE_MS).toUTCString() });
    rig.delivery.start();
    await rig.untilAtOnce(() => rig.receiver.arrivals.length === 1);
    await rig.quiet();
    rig.receiver.behavior = accept;
    rig.clock.advance(2 * MINUTE_MS - 1_001);
    await rig.quiet();
    expect(rig.receiver.arrivals).toHaveLength(1);
    rig.clock.advance(1_001);
    await rig.untilAtOnce(() => rig.outbox.size === 0);
  });

  test("Retry-After of a year is an hour", async () => {
    await using rig = await Rig.open();
    rig.add("a");
    rig.receiver.behavior = refuse(503, { "retry-after": "31536000" });
    rig.delivery.start();
    await rig.untilAtOnce(() => rig.receiver.arrivals.length === 1);
    await rig.quiet();
    rig.receiver.behavior = accept;
    rig.clock.advance(HOUR_MS);
    await rig.untilAtOnce(() => rig.outbox.size === 0);
  });

  test("Retry-After with another failure holds back that event alone", async () => {
    await using rig = await Rig.open();
    rig.add("a", "b");
    rig.receiver.behavior = (arrival, response, request) =>
      (arrival.seq === 1 && arrival.index < 2 ? refuse(500, { "retry-after": "300" }) : accept)(arrival, response, request);
    rig.delivery.start();
    await rig.untilAtOnce(() => rig.outbox.size === 1);
    await rig.quiet();
    rig.clock.advance(300_000 - 1);
    await rig.quiet();
    expect(rig.receiver.seqs().toSorted()).toEqual([1, 2]);
    rig.clock.advance(1);
    await rig.untilAtOnce(() => rig.outbox.size === 0);
  });

  test.each([429, 502, 503, 504])("%d halves the requests at a time; successes bring them back", async (status) => {
    await using rig = await Rig.open({ maxRequests: 8 });
    const gates: (() => void)[] = [];
    const gated: Behavior = (arrival, response, request) => {
      gates.push(() => void accept(arrival, response, request));
    };
    rig.receiver.behavior = refuse(status);
    rig.add("x", "y");
    rig.delivery.start();
    await rig.untilAtOnce(() => rig.receiver.arrivals.length === 2);
    await rig.quiet();
    rig.receiver.behavior = gated;
    for (let index = 0; index < 8; index++) rig.add(`order ${index}`);
    rig.delivery.notify();
    await rig.untilAtOnce(() => gates.length === 2);
    await rig.turns();
    expect(rig.receiver.inFlight).toBe(2);
    gates.shift()?.();
    await rig.untilAtOnce(() => gates.length === 3);
    await rig.turns();
    expect(rig.receiver.inFlight).toBe(3);
    rig.receiver.behavior = accept;
    for (const open of gates) open();
    await rig.delivered();
    rig.expectAllInOrder();
  });
});

describe("a receiver that is down", () => {
  test("is probed with one request at a time, ever more rarely, and gets everything once it is back", async () => {
    await using rig = await Rig.open();
    for (let index = 0; index < 100; index++) rig.add(`order ${index % 40}`);
    rig.receiver.behavior = hangUp;
    rig.delivery.start();
    await rig.untilAtOnce(() => rig.delivery.state().receiver === "down");
    await rig.quiet();
    const volley = rig.receiver.arrivals.length;
    // 16 at once, and one more for each of the four failures before the fifth.
    expect(volley).toBeLessThanOrEqual(20);
    const since = rig.clock.nowMs();
    await rig.until(() => rig.clock.nowMs() - since > 10 * MINUTE_MS);
    await rig.quiet();
    const probes = rig.receiver.arrivals.length - volley;
    // At the cap of ten seconds, of which half is chance.
    expect(probes).toBeGreaterThanOrEqual(60);
    expect(probes).toBeLessThanOrEqual(130);
    expect(rig.outbox.size).toBe(100);

    rig.receiver.behavior = accept;
    await rig.until(() => rig.delivery.state().receiver === "up");
    // Whatever had failed goes at once: no pause of its own keeps it.
    await rig.untilAtOnce(() => rig.outbox.size === 0);
    rig.expectAllInOrder();
    expect(rig.logged.filter(({ level }) => level === "info" || level === "warn").map(({ message }) => message)).toEqual(
      expect.arrayContaining(["the webhook receiver is down: probing it with one request at a time", "the webhook receiver is up again"]),
    );
  });

  test("nobody listens at first", async () => {
    await using rig = await Rig.open();
    await rig.receiver.close();
    for (let index = 0; index < 50; index++) rig.add(`order ${index % 7}`);
    rig.delivery.start();
    const since = rig.clock.nowMs();
    await rig.until(() => rig.clock.nowMs() - since > 10 * MINUTE_MS);
    expect(rig.logged[0]).toMatchObject({ fields: { reason: "ECONNREFUSED" } });
    await rig.receiver.listen();
    await rig.delivered();
    rig.expectAllInOrder();
  });

  test("a few events that are always refused do not make it look down to the others", async () => {
    await using rig = await Rig.open({ random: () => 1 });
    const bad = Array.from({ length: 20 }, (_, index) => `bad ${index}`);
    rig.receiver.behavior = (arrival, response, request) =>
      (arrival.orderId.startsWith("bad") ? refuse(400) : accept)(arrival, response, request);
    rig.add(...bad);
    rig.delivery.start();
    await rig.untilAtOnce(() => rig.delivery.state().receiver === "down");
    rig.add("good");
    rig.delivery.notify();
    await rig.until(() => rig.outbox.size === 20);
    expect(rig.delivery.state().receiver).toBe("up");
    const since = rig.clock.nowMs();
    for (let round = 0; round < 20; round++) {
      await rig.until(() => rig.clock.nowMs() - since > round * MINUTE_MS);
      rig.add("good");
      rig.delivery.notify();
      await rig.untilAtOnce(() => rig.outbox.size === 20);
    }
  });

  test("events that are refused each for itself leave room for others beyond what is held", async () => {
    await using rig = await Rig.open();
    rig.receiver.behavior = (arrival, response, request) =>
      (arrival.orderId.startsWith("bad") && !fixed ? refuse(422) : accept)(arrival, response, request);
    let fixed = false;
    for (let index = 0; index < 200; index++) rig.add(index % 2 === 0 ? `bad ${index}` : `good ${index}`, `bad ${index & ~1}`);
    rig.delivery.start();
    await rig.until(() => rig.outbox.size === 300);
    expect(rig.outbox.mostAsked).toBeLessThanOrEqual(80);
    fixed = true;
    await rig.delivered();
    rig.expectAllInOrder();
  });
});

describe("410", () => {
  async function openGone(): Promise<Rig> {
    const rig = await Rig.open();
    for (let index = 0; index < 40; index++) rig.add(`order ${index % 10}`);
    rig.receiver.behavior = (arrival, response, request) => (arrival.index < 12 ? accept : refuse(410))(arrival, response, request);
    rig.delivery.start();
    await rig.untilAtOnce(() => rig.delivery.state().receiver === "disabled");
    await rig.quiet();
    return rig;
  }

  test("ends delivery until a restart and keeps the events", async () => {
    await using rig = await openGone();
    const arrived = rig.receiver.arrivals.length;
    expect(rig.outbox.size).toBe(28);
    rig.clock.advance(50);
    await rig.quiet();
    // The check for expired events.
    expect(rig.clock.timers).toBe(1);
    const { reads } = rig.outbox;
    rig.add("late");
    rig.delivery.notify();
    await rig.quiet();
    expect(rig.outbox.reads).toBe(reads);
    expect(rig.receiver.arrivals).toHaveLength(arrived);
    expect(rig.logged.filter(({ level }) => level === "error")).toHaveLength(1);

    rig.receiver.behavior = accept;
    await rig.restart();
    await rig.delivered();
    rig.expectAllInOrder();
  });

  test("ends delivery until a resume, which may meet another one", async () => {
    await using rig = await openGone();
    const arrived = rig.receiver.arrivals.length;
    rig.delivery.resume();
    await rig.untilAtOnce(() => rig.receiver.arrivals.length > arrived);
    await rig.untilAtOnce(() => rig.delivery.state().receiver === "disabled");
    await rig.quiet();
    expect(rig.outbox.size).toBe(28);

    rig.receiver.behavior = accept;
    rig.delivery.resume();
    rig.delivery.resume();
    await rig.untilAtOnce(() => rig.outbox.size === 0);
    expect(rig.delivery.state().receiver).toBe("up");
    rig.expectAllInOrder();
    rig.clock.advance(MINUTE_MS);
    await rig.quiet();
    expect(rig.clock.timers).toBe(0);
  });

  test("events keep their 24 h and are given up then, so that the outbox does not grow for ever", async () => {
    await using rig = await openGone();
    const createdMs = rig.clock.nowMs();
    const passed = async (ms: number): Promise<void> => void (await rig.until(() => rig.clock.nowMs() - createdMs >= ms));
    await passed(12 * HOUR_MS);
    for (let index = 0; index < 200; index++) rig.add(`young ${index}`);
    await passed(24 * HOUR_MS - 1);
    expect(rig.outbox.dead.size).toBe(0);
    await passed(24 * HOUR_MS + 2 * MINUTE_MS);
    await rig.quiet();
    expect(rig.outbox.dead.size).toBe(28);
    for (const { reason } of rig.outbox.dead.values()) expect(reason).toContain("410");
    await passed(36 * HOUR_MS + 2 * MINUTE_MS);
    await rig.quiet();
    expect(rig.outbox.size).toBe(0);
    // Orders wait for a bounded transaction only.
    expect(rig.outbox.mostGivenUpAtOnce).toBe(64);
  });

  test("what was under way when it came is marked, and stop ends the check for expired events", async () => {
    await using rig = await Rig.open();
    rig.add("a", "b");
    const gate = Promise.withResolvers<void>();
    rig.receiver.behavior = async (arrival, response, request) => {
      if (arrival.orderId === "a") await gate.promise;
      return (arrival.orderId === "a" ? accept : refuse(410))(arrival, response, request);
    };
    rig.delivery.start();
    await rig.untilAtOnce(() => rig.delivery.state().receiver === "disabled");
    gate.resolve();
    await rig.untilAtOnce(() => rig.outbox.size === 1);
    expect(rig.outbox.delivered).toEqual([1]);
    await rig.delivery.stop();
    expect(rig.clock.timers).toBe(0);
    rig.delivery.resume();
    await rig.quiet();
    expect(rig.receiver.arrivals).toHaveLength(2);
  });
});

describe("after 24 h", () => {
  test("an event is given up with the reason of its last failure, and the order's next one goes", async () => {
    await using rig = await Rig.open();
    rig.add("a", "a", "b");
    const createdMs = rig.clock.nowMs();
    rig.receiver.behavior = (arrival, response, request) => (arrival.seq === 1 ? refuse(418) : accept)(arrival, response, request);
    rig.delivery.start();
    await rig.until(() => rig.outbox.dead.size === 1);
    const dead = rig.outbox.dead.get(1);
    expect(dead?.reason).toBe("HTTP 418");
    expect((dead?.atMs ?? 0) - createdMs).toBe(24 * HOUR_MS);
    await rig.delivered();
    rig.expectAllInOrder();
    expect(rig.receiver.arrivals.filter(({ seq }) => seq === 1).length).toBeLessThan(300);
    expect(rig.logged.filter(({ level }) => level === "error")).toMatchObject([{ fields: { order_id: "a", seq: 1, reason: "HTTP 418" } }]);
  });

  test("a receiver that is down is asked with one event for all, also for those not yet read", async () => {
    await using rig = await Rig.open({ maxRequests: 4 });
    for (let index = 0; index < 500; index++) rig.add(`order ${index % 90}`);
    const createdMs = rig.clock.nowMs();
    rig.clock.advance(23 * HOUR_MS);
    rig.receiver.behavior = hangUp;
    rig.delivery.start();
    await rig.until(() => rig.outbox.dead.size > 0);
    await rig.quiet();
    expect(rig.outbox.dead.size).toBe(500);
    for (const { reason, atMs } of rig.outbox.dead.values()) {
      expect(reason).toContain("ECONNRESET");
      expect(atMs - createdMs).toBeGreaterThanOrEqual(24 * HOUR_MS);
      expect(atMs - createdMs).toBeLessThan(24 * HOUR_MS + 2 * MINUTE_MS);
    }
    expect(rig.outbox.mostGivenUpAtOnce).toBe(64);
    rig.receiver.behavior = accept;
    rig.add("order 1");
    rig.delivery.notify();
    await rig.delivered();
    rig.expectAllInOrder();
  });

  test("younger events stay", async () => {
    await using rig = await Rig.open();
    rig.add("a", "b");
    rig.clock.advance(10 * HOUR_MS);
    rig.add("a", "c");
    rig.clock.advance(14 * HOUR_MS - 10 * MINUTE_MS);
    await rig.receiver.close();
    rig.delivery.start();
    await rig.until(() => rig.outbox.dead.size > 0);
    await rig.quiet();
    expect([...rig.outbox.dead.keys()].toSorted()).toEqual([1, 2]);
    await rig.receiver.listen();
    await rig.delivered();
    rig.expectAllInOrder();
  });

  test("an event that is under way is not given up with the others", async () => {
    await using rig = await Rig.open({ startGraceMs: 0 });
    rig.add("a", "b", "c", "d", "e", "slow");
    rig.clock.advance(24 * HOUR_MS);
    const gate = Promise.withResolvers<void>();
    rig.receiver.behavior = async (arrival, response, request) => {
      if (arrival.orderId !== "slow") return hangUp(arrival, response, request);
      await gate.promise;
      return accept(arrival, response, request);
    };
    rig.delivery.start();
    await rig.untilAtOnce(() => rig.outbox.dead.size === 5);
    await rig.turns();
    expect(rig.delivery.state()).toEqual({ receiver: "down", inFlight: 1 });
    gate.resolve();
    await rig.untilAtOnce(() => rig.outbox.size === 0);
    expect(rig.outbox.dead.size).toBe(5);
    expect(rig.outbox.delivered).toEqual([6]);
  });

  test("after a long stop an event still gets its try, and a receiver that starts later a minute", async () => {
    await using rig = await Rig.open();
    for (let index = 0; index < 30; index++) rig.add(`order ${index}`);
    rig.clock.advance(48 * HOUR_MS);
    rig.receiver.behavior = hangUp;
    rig.delivery.start();
    const since = rig.clock.nowMs();
    await rig.until(() => rig.clock.nowMs() - since > 30_000);
    expect(rig.outbox.dead.size).toBe(0);
    rig.receiver.behavior = accept;
    await rig.delivered();
    expect(rig.outbox.dead.size).toBe(0);
    rig.expectAllInOrder();
  });
});

describe("a journal that is unavailable", () => {
  test.each([
    ["from the start", undefined],
    ["in the middle", 20],
  ])("%s: delivery waits and goes on", async (_name, after) => {
    await using rig = await Rig.open();
    for (let index = 0; index < 60; index++) rig.add(`order ${index % 25}`);
    rig.receiver.behavior = (arrival, response, request) => {
      if (arrival.index === after) rig.outbox.unavailable = true;
      accept(arrival, response, request);
    };
    rig.outbox.unavailable = after === undefined;
    rig.delivery.start();
    const since = rig.clock.nowMs();
    await rig.until(() => rig.clock.nowMs() - since > 5 * MINUTE_MS);
    // What was under way, and no more: it could not be marked.
    expect(rig.receiver.arrivals.length).toBeLessThanOrEqual(after === undefined ? 0 : after + 16);
    rig.outbox.unavailable = false;
    await rig.delivered();
    rig.expectAllInOrder();
    expect(rig.receiver.arrivals).toHaveLength(60);
    expect(rig.logged.map(({ level }) => level)).toEqual(["warn", "info"]);
  });
});
