import { expect, test } from "vitest";
import { accept, hangUp } from "./receiver.ts";
import { Rig } from "./rig.ts";

const EVENTS = 100_000;

/** A stand-in for `fetch`: what is counted here is events, and HTTP would only take its time. */
function countingFetch(status: number) {
  const last = new Map<string, number>();
  const seen = { total: 0, outOfOrder: 0 };
  const most = { held: 0, tracked: 0 };
  const watch = { rig: undefined as Rig | undefined };
  const stub = async (_url: unknown, init: RequestInit | undefined): Promise<Response> => {
    const { data } = JSON.parse(String(init?.body));
    const { held = 0, tracked = 0 } = watch.rig?.delivery.state() ?? {};
    most.held = Math.max(most.held, held);
    most.tracked = Math.max(most.tracked, tracked);
    if (status < 300) {
      seen.total++;
      if ((last.get(data.order_id) ?? 0) >= data.seq) seen.outOfOrder++;
      last.set(data.order_id, data.seq);
    }
    return new Response(null, { status });
  };
  return { seen, most, watch, fetch: stub as typeof fetch };
}

test("of 100 000 events no more are held at a time than allowed", async () => {
  const { seen, most, watch, fetch } = countingFetch(204);
  await using rig = await Rig.open({ fetch });
  watch.rig = rig;
  for (let index = 0; index < EVENTS; index++) rig.add(`order ${index % 30_000}`);
  rig.delivery.start();
  await rig.untilAtOnce(() => rig.outbox.size === 0);
  expect(seen).toEqual({ total: EVENTS, outOfOrder: 0 });
  expect(most.held).toBeGreaterThan(0);
  expect(most.held).toBeLessThanOrEqual(1_024);
  // Seen from the outbox: what it handed out and did not get back.
  expect(rig.outbox.mostOutstanding).toBeLessThan(1_024 + 500);
}, 60_000);

test("all events of one order: neither held all at a time nor in the way of others", async () => {
  const { seen, most, watch, fetch } = countingFetch(204);
  await using rig = await Rig.open({ fetch });
  watch.rig = rig;
  for (let index = 0; index < 5_000; index++) rig.add("hot");
  rig.add("other");
  let otherAfter: number | undefined;
  rig.delivery.start();
  await rig.untilAtOnce(() => {
    if (rig.outbox.deliveredCalls.some((seqs) => seqs.includes(5_001))) otherAfter ??= seen.total;
    return rig.outbox.size === 0;
  });
  expect(seen).toEqual({ total: 5_001, outOfOrder: 0 });
  expect(most.held).toBeLessThanOrEqual(8);
  expect(otherAfter).toBeLessThan(1_000);
}, 60_000);

test("ten thousand events that fail each for itself: what is known of them is bounded too", async () => {
  const { most, watch, fetch } = countingFetch(422);
  await using rig = await Rig.open({ fetch, maxTracked: 2_000 });
  watch.rig = rig;
  for (let index = 0; index < 10_000; index++) rig.add(`order ${index}`);
  rig.delivery.start();
  const since = rig.clock.nowMs();
  await rig.until(() => {
    return rig.clock.nowMs() - since > 3_600_000;
  });
  expect(most.tracked).toBeLessThanOrEqual(2_000);
});

test("while the receiver is down the backlog stays in the outbox", async () => {
  await using rig = await Rig.open();
  for (let index = 0; index < EVENTS; index++) rig.add(`order ${index}`);
  rig.receiver.behavior = hangUp;
  rig.delivery.start();
  const since = rig.clock.nowMs();
  await rig.until(() => rig.clock.nowMs() - since > 3_600_000);
  expect(rig.delivery.state().tracked).toBeLessThanOrEqual(1_024);
  expect(rig.outbox.reads).toBeLessThan(20);
  rig.receiver.behavior = accept;
  await rig.until(() => rig.receiver.arrivals.length > 1_000);
}, 60_000);
