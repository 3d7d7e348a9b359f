import { expect, test } from "vitest";
import type { Post } from "../../src/outgoing/post.ts";
import { accept, hangUp } from "./receiver.ts";
import { Rig } from "./rig.ts";

const EVENTS = 100_000;

// A buffer of 64 and as many tries at one time as there are requests.
const MOST_HELD = 64 + 16;

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

test("of 100 000 events no more are held at a time than allowed", async () => {
  const { seen, post } = countingPost(204);
  await using rig = await Rig.open({ post });
  for (let index = 0; index < EVENTS; index++) rig.add(`order ${index % 30_000}`);
  rig.delivery.start();
  await rig.untilAtOnce(() => rig.outbox.size === 0);
  expect(seen).toEqual({ total: EVENTS, outOfOrder: 0 });
  // Seen from the outbox: what it handed out and did not get back.
  expect(rig.outbox.mostOutstanding).toBeGreaterThan(16);
  expect(rig.outbox.mostOutstanding).toBeLessThanOrEqual(MOST_HELD);
  expect(rig.outbox.mostAsked).toBeLessThanOrEqual(MOST_HELD);
}, 120_000);

test("all events of one order: neither held all at a time nor in the way of others", async () => {
  const { seen, post } = countingPost(204);
  await using rig = await Rig.open({ post });
  for (let index = 0; index < 5_000; index++) rig.add("hot");
  rig.add("other");
  let otherAfter: number | undefined;
  rig.delivery.start();
  await rig.untilAtOnce(() => {
    if (rig.outbox.delivered.includes(5_001)) otherAfter ??= seen.total;
    return rig.outbox.size === 0;
  });
  expect(seen).toEqual({ total: 5_001, outOfOrder: 0 });
  expect(rig.outbox.mostOutstanding).toBeLessThanOrEqual(2);
  expect(otherAfter).toBeLessThan(10);
}, 60_000);

test("ten thousand events that fail each for itself: what is known of them is bounded too", async () => {
  const { post } = countingPost(422);
  await using rig = await Rig.open({ post });
  for (let index = 0; index < 10_000; index++) rig.add(`order ${index}`);
  rig.delivery.start();
  const since = rig.clock.nowMs();
  await rig.until(() => rig.clock.nowMs() - since > 3_600_000);
  expect(rig.outbox.mostAsked).toBeLessThanOrEqual(MOST_HELD);
  expect(rig.clock.timers).toBeLessThan(5);
});

test("while the receiver is down the backlog stays in the outbox", async () => {
  await using rig = await Rig.open();
  for (let index = 0; index < EVENTS; index++) rig.add(`order ${index}`);
  rig.receiver.behavior = hangUp;
  rig.delivery.start();
  await rig.until(() => rig.delivery.state().receiver === "down");
  rig.outbox.mostAsked = 0;
  const readsBefore = rig.outbox.reads;
  const since = rig.clock.nowMs();
  await rig.until(() => rig.clock.nowMs() - since > 600_000);
  // One event for each probe.
  expect(rig.outbox.mostAsked).toBe(1);
  expect(rig.outbox.reads - readsBefore).toBeLessThanOrEqual(130);
  rig.receiver.behavior = accept;
  await rig.until(() => rig.receiver.arrivals.length > 1_000);
}, 60_000);
