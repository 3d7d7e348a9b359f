import { expect, test } from "vitest";
import type { Post } from "../../src/resilience/post.ts";
import { Fixture } from "./fixture.ts";
import { accept, hangUp } from "./receiver.ts";

test("stop aborts what is under way; the event stays and is the first of its order after the restart", async () => {
  await using fixture = await Fixture.open();
  fixture.add("a", "a", "b");
  fixture.receiver.behavior = fixture.receiver.keepSilent;
  fixture.delivery.start();
  await fixture.untilAtOnce(() => fixture.receiver.silent === 2);
  await fixture.delivery.stop();
  await fixture.untilAtOnce(() => fixture.receiver.silent === 0);
  expect(fixture.outbox.size).toBe(3);
  expect(fixture.outbox.delivered).toEqual([]);
  expect(fixture.logged).toEqual([]);
  fixture.receiver.behavior = accept;
  await fixture.restart();
  await fixture.delivered();
  fixture.expectAllInOrder();
  expect(fixture.receiver.arrivals).toHaveLength(5);
});

test("stop waits for the mark of what was answered", async () => {
  await using fixture = await Fixture.open();
  fixture.add("a");
  let stopped: Promise<void> | undefined;
  fixture.receiver.behavior = accept;
  fixture.delivery.start();
  await fixture.untilAtOnce(() => {
    const marking = fixture.receiver.arrivals.length === 1 && fixture.delivery.state().inFlight === 0 && fixture.outbox.size === 1;
    if (marking) stopped = fixture.delivery.stop();
    return marking;
  });
  await stopped;
  expect(fixture.outbox.size).toBe(0);
});

test("stop during a journal outage ends at once and keeps the events", async () => {
  await using fixture = await Fixture.open();
  fixture.add("a", "b");
  fixture.receiver.behavior = (arrival, response, request) => {
    fixture.outbox.unavailable = true;
    accept(arrival, response, request);
  };
  fixture.delivery.start();
  await fixture.untilAtOnce(() => fixture.logged.length > 0);
  await fixture.delivery.stop();
  fixture.receiver.behavior = accept;
  fixture.outbox.unavailable = false;
  await fixture.restart();
  await fixture.delivered();
  fixture.expectAllInOrder();
});

test("stop while the receiver is down leaves no timer", async () => {
  await using fixture = await Fixture.open();
  for (let index = 0; index < 12; index++) fixture.add(`order ${index}`);
  fixture.receiver.behavior = hangUp;
  fixture.delivery.start();
  await fixture.untilAtOnce(() => fixture.delivery.state().receiver === "down");
  await fixture.quiet();
  expect(fixture.clock.timers).toBeGreaterThan(0);
  await fixture.delivery.stop();
  expect(fixture.clock.timers).toBe(0);
});

test("stop at any moment: a sweep over the turns of a run", async () => {
  for (let turns = 0; turns < 40; turns++) {
    await using fixture = await Fixture.open({ maxRequests: 3 });
    for (let index = 0; index < 12; index++) fixture.add(`order ${index % 5}`);
    fixture.delivery.start();
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
    await fixture.delivery.stop();
    expect(fixture.clock.timers).toBe(0);
    expect(fixture.outbox.busy).toBe(0);
    expect(fixture.delivery.state().inFlight).toBe(0);
    await fixture.restart();
    await fixture.delivered();
    fixture.expectAllInOrder();
  }
});

const EVENTS = 600;

// As many as there are requests.
const MOST_HELD = 16;

/** A stand-in for the POST: what is counted here is events, and HTTP would only take its time. */
function countingPost(status: number) {
  const last = new Map<string, number>();
  const seen = { total: 0, outOfOrder: 0 };
  const post: Post = async ({ body }) => {
    const { data } = JSON.parse(String(body));
    if (status < 300) {
      seen.total++;
      if ((last.get(data.order_id) ?? 0) >= data.seq) seen.outOfOrder++;
      last.set(data.order_id, data.seq);
    }
    return { status, retryAfter: undefined };
  };
  return { seen, post };
}

test("of 600 events no more are held at a time than allowed", async () => {
  const { seen, post } = countingPost(204);
  await using fixture = await Fixture.open({ post });
  for (let index = 0; index < EVENTS; index++) fixture.add(`order ${index % 150}`);
  fixture.delivery.start();
  await fixture.untilAtOnce(() => fixture.outbox.size === 0);
  expect(seen).toEqual({ total: EVENTS, outOfOrder: 0 });
  // Seen from the outbox: what it handed out and did not get back.
  expect(fixture.outbox.mostOutstanding).toBe(MOST_HELD);
  expect(fixture.outbox.mostAsked).toBeLessThanOrEqual(MOST_HELD);
});

test("all events of one order: neither held all at a time nor in the way of others", async () => {
  const { seen, post } = countingPost(204);
  await using fixture = await Fixture.open({ post });
  for (let index = 0; index < 200; index++) fixture.add("hot");
  fixture.add("other");
  let otherAfter: number | undefined;
  fixture.delivery.start();
  await fixture.untilAtOnce(() => {
    if (fixture.outbox.delivered.includes(201)) otherAfter ??= seen.total;
    return fixture.outbox.size === 0;
  });
  expect(seen).toEqual({ total: 201, outOfOrder: 0 });
  expect(fixture.outbox.mostOutstanding).toBeLessThanOrEqual(2);
  expect(otherAfter).toBeLessThan(10);
});

test("hundreds of events that fail each for itself: what is known of them is bounded too", async () => {
  const { post } = countingPost(422);
  await using fixture = await Fixture.open({ post });
  for (let index = 0; index < 300; index++) fixture.add(`order ${index}`);
  fixture.delivery.start();
  const since = fixture.clock.nowMs();
  await fixture.until(() => fixture.clock.nowMs() - since > 3_600_000);
  expect(fixture.outbox.mostAsked).toBeLessThanOrEqual(MOST_HELD);
  expect(fixture.clock.timers).toBeLessThan(5);
});
