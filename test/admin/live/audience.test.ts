import { perStep } from "../../../src/orders/steps.ts";
import "../../leaks/timers.ts";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Response } from "express";
import { expect, test } from "vitest";
import { EventStream } from "../../../src/admin/live/event-stream.ts";
import { LiveEvents } from "../../../src/admin/live/live-events.ts";
import { LiveFeed } from "../../../src/admin/live/live-feed.ts";
import { timers } from "../../leaks/timers.ts";
import { eventually } from "../../support/eventually.ts";
import { watch } from "./watching.ts";

/** A server that gives every response to `open`. */
async function serving(open: (response: Response) => void) {
  const server = createServer((_request, plain) => {
    const response = plain as Response;
    response.locals = { requestId: "r" };
    open(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

test("while nobody looks there is no timer and nothing is read; the last one who leaves ends both", async () => {
  let asked = 0;
  const capacity = { limit: 1, inUse: 0, waiting: 0 };
  const count = () => {
    asked++;
    return { running: 0, started: 0, finished: 0, threads: [], replaced: new Map() };
  };
  const events = new LiveEvents();
  const feed = new LiveFeed(events, {
    threads: { statistics: count },
    orderService: { inFlight: 0 },
    longSteps: { mark: () => {}, sample: () => [], forget: () => {} },
    capacities: perStep(() => capacity),
    circuitState: () => "closed",
    backlog: () => Promise.reject(new Error("not now")),
    simulated: true,
    onFault: () => {},
  });
  await using server = await serving((response) => feed.open(response));
  const before = timers();
  const step = { name: "payment", outcome: { status: "ok" }, durationMs: 1, startedAtMs: 0, endedAtMs: 1, threadId: 1 } as const;
  const request = { requestId: undefined, parentSpanId: undefined, receivedAtMs: 0 };
  const order = { input: { orderId: "a", amount: 1, attempt: 1 }, ...request, compensations: [], storedAtMs: 1 };
  const add = () => events.orderEnded({ ...order, outcome: { steps: [step], startedAtMs: 0 } });
  add();
  expect([timers(), asked, feed.pages]).toEqual([before, 0, 0]);

  const [one, two] = [await watch(server.port), await watch(server.port)];
  expect(feed.pages).toBe(2);
  // One of the feed; those of the connections are Node's own and not counted here.
  expect(timers()).toBe(before + 1);
  add();
  const tick = await eventually("an order", () => one.ticks.find(({ orders }) => orders.length > 0));
  expect(tick?.ended).toEqual({ ok: 1 });
  expect(tick?.backlog).toBeNull();
  await eventually("the same for both", () => two.ticks.some(({ orders }) => orders.length > 0));

  one[Symbol.dispose]();
  await eventually("one left", () => feed.pages === 1);
  const seen = asked;
  await eventually("ticks for the other", () => asked > seen);
  two[Symbol.dispose]();
  await eventually("nobody", () => feed.pages === 0);
  expect(timers()).toBe(before);
  const last = asked;
  await pause(600);
  expect(asked).toBe(last);
});

test("a page that does not read holds no more than its socket does, others miss nothing, and in the end it is dropped", async () => {
  const watched: boolean[] = [];
  const stream = new EventStream((isWatched) => watched.push(isWatched));
  const responses: Response[] = [];
  await using server = await serving((response) => {
    responses.push(response);
    stream.add(response, "hello", {});
  });
  const stalled = connect(server.port, "127.0.0.1");
  stalled.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  stalled.pause();
  await eventually("the stalled one", () => stream.pages === 1);
  using reader = await watch(server.port);
  expect([stream.pages, watched]).toEqual([2, [true]]);

  const gone = new Promise<void>((resolve) => stalled.once("close", () => resolve()));
  stalled.on("error", () => {});
  const text = "x".repeat(256 * 1024);
  let sent = 0;
  const heldBytes: number[] = [];
  while (stream.pages === 2) {
    stream.send("tick", { n: sent++, text });
    await eventually("the reader has it", () => reader.ticks.length === sent);
    heldBytes.push(responses[0]?.writableLength ?? 0);
    if (sent > 2_000) throw new Error("the stalled one is never dropped");
  }
  // More than what the kernel takes was offered to it, and it was given time.
  expect(sent).toBeGreaterThan(120);
  expect(Math.max(...heldBytes)).toBeGreaterThan(0);
  expect(Math.max(...heldBytes)).toBeLessThan(2 * text.length);
  expect(reader.ticks.map((tick) => (tick as unknown as { n: number }).n)).toEqual(Array.from({ length: sent }, (_, n) => n));
  stalled.resume();
  await gone;

  stream.close();
  await eventually("the end", () => reader.ended !== undefined);
  expect(reader.ended).toBe("whole");
  await eventually("nobody", () => stream.pages === 0);
  expect(watched).toEqual([true, false]);
});
