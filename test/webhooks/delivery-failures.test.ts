import { describe, expect, test } from "vitest";
import { Fixture } from "./fixture.ts";
import { accept, type Behavior, hangUp, refuse } from "./receiver.ts";

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
