import { expect, test } from "vitest";
import type { Post } from "../../src/resilience/post.ts";
import { Fixture } from "./fixture.ts";
import { accept, hangUp } from "./receiver.ts";

const EVENTS = 30_000;

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

test("of 30 000 events no more are held at a time than allowed", async () => {
  const { seen, post } = countingPost(204);
  await using fixture = await Fixture.open({ post });
  for (let index = 0; index < EVENTS; index++) fixture.add(`order ${index % 9_000}`);
  fixture.delivery.start();
  await fixture.untilAtOnce(() => fixture.outbox.size === 0);
  expect(seen).toEqual({ total: EVENTS, outOfOrder: 0 });
  // Seen from the outbox: what it handed out and did not get back.
  expect(fixture.outbox.mostOutstanding).toBe(MOST_HELD);
  expect(fixture.outbox.mostAsked).toBeLessThanOrEqual(MOST_HELD);
}, 120_000);

test("all events of one order: neither held all at a time nor in the way of others", async () => {
  const { seen, post } = countingPost(204);
  await using fixture = await Fixture.open({ post });
  for (let index = 0; index < 5_000; index++) fixture.add("hot");
  fixture.add("other");
  let otherAfter: number | undefined;
  fixture.delivery.start();
  await fixture.untilAtOnce(() => {
    if (fixture.outbox.delivered.includes(5_001)) otherAfter ??= seen.total;
    return fixture.outbox.size === 0;
  });
  expect(seen).toEqual({ total: 5_001, outOfOrder: 0 });
  expect(fixture.outbox.mostOutstanding).toBeLessThanOrEqual(2);
  expect(otherAfter).toBeLessThan(10);
}, 60_000);

test("ten thousand events that fail each for itself: what is known of them is bounded too", async () => {
  const { post } = countingPost(422);
  await using fixture = await Fixture.open({ post });
  for (let index = 0; index < 10_000; index++) fixture.add(`order ${index}`);
  fixture.delivery.start();
  const since = fixture.clock.nowMs();
  await fixture.until(() => fixture.clock.nowMs() - since > 3_600_000);
  expect(fixture.outbox.mostAsked).toBeLessThanOrEqual(MOST_HELD);
  expect(fixture.clock.timers).toBeLessThan(5);
});

test("while the receiver is down the backlog stays in the outbox", async () => {
  await using fixture = await Fixture.open();
  for (let index = 0; index < EVENTS; index++) fixture.add(`order ${index}`);
  fixture.receiver.behavior = hangUp;
  fixture.delivery.start();
  await fixture.until(() => fixture.delivery.state().receiver === "down");
  await fixture.quiet();
  fixture.outbox.mostAsked = 0;
  fixture.outbox.onlyLeastTried = true;
  const readsBefore = fixture.outbox.reads;
  const since = fixture.clock.nowMs();
  await fixture.until(() => fixture.clock.nowMs() - since > 600_000);
  // One event for each probe, each time the one tried least.
  expect([fixture.outbox.mostAsked, fixture.outbox.onlyLeastTried]).toEqual([1, true]);
  expect(fixture.outbox.reads - readsBefore).toBeLessThanOrEqual(130);
  fixture.receiver.behavior = accept;
  await fixture.until(() => fixture.receiver.arrivals.length > 1_000);
}, 60_000);
