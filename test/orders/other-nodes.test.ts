import { afterEach, describe, expect, test, vi } from "vitest";
import { Elsewhere } from "../../src/orders/elsewhere.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { timers } from "../leaks/timers.ts";
import { OK, settle } from "./compensator-fixture.ts";
import { FakeOtherNodes, type FakeWait } from "./fake-other-nodes.ts";
import { hasEnded, OrderServiceFixture, REFUSED } from "./order-service-fixture.ts";

/** A node that runs order `o`, and one that the same order is sent to. */
async function twoNodes() {
  const running = new OrderServiceFixture({ compensate: OK });
  const otherNodes = new FakeOtherNodes();
  const waiting = new OrderServiceFixture({ compensate: OK, journal: running.journal, otherNodes });
  const client = new AbortController();
  const { answer } = await running.place("o", 1, client.signal);
  return {
    running,
    waiting,
    otherNodes,
    answer,
    client,
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      await waiting[Symbol.asyncDispose]();
    },
  };
}

const waitOf = ({ waits }: FakeOtherNodes, place = 0) => waits[place] as FakeWait;

afterEach(() => void vi.useRealTimers());

test.each([OK, REFUSED])(
  "a request for an order that another node runs waits and gets its answer, where that is $status",
  async (outcome) => {
    await using nodes = await twoNodes();
    const { running, waiting, otherNodes } = nodes;
    const placing = waiting.place();
    expect(await hasEnded(placing)).toBe(false);
    expect([otherNodes.waits.length, waiting.orderService.inFlight, waiting.runner.started]).toEqual([1, 1, []]);
    expect(waitOf(otherNodes)).toMatchObject({ orderId: "o", attempt: 1 });
    running.end(outcome);
    const answer = await nodes.answer;
    expect(await hasEnded(placing)).toBe(false);
    waitOf(otherNodes).end(answer);
    const placement = await placing;
    expect(placement.replayed).toBe(false);
    expect(await placement.answer).toEqual(answer);
    expect(running.journal.commits.filter((kind) => kind === "accept")).toHaveLength(2);
    expect([waiting.orderService.inFlight, waiting.runner.started]).toEqual([0, []]);
  },
);

test("requests that wait for an attempt whose answer nobody received share one new attempt", async () => {
  await using nodes = await twoNodes();
  const { running, waiting, otherNodes, client } = nodes;
  const placing = [1, 2, 3].map(() => waiting.place());
  await settle();
  client.abort();
  expect((await nodes.answer).error).toBe("canceled");
  await settle();
  // It is closed, but this node has not heard so.
  expect([waiting.orderService.inFlight, waiting.runner.started, running.journal.answered.length]).toEqual([3, [], 1]);
  for (const wait of otherNodes.waits) wait.end(undefined);
  const placements = await Promise.all(placing);
  expect(waiting.steps("perform", "o", 2)).toHaveLength(STEPS.length);
  waiting.end(OK, "o", 2);
  for (const { answer, replayed } of placements) expect([replayed, await answer]).toEqual([false, { json: expect.stringContaining("ok") }]);
  expect([otherNodes.waits.length, waiting.orderService.inFlight]).toEqual([3, 0]);
  expect(waiting.steps("perform", "o", 3)).toEqual([]);
});

test("an attempt of this node that the journal knows under another number is not joined: another node has a newer one", async () => {
  const otherNodes = new FakeOtherNodes();
  await using at = new OrderServiceFixture({ otherNodes });
  const first = await at.place();
  vi.spyOn(at.journal, "accept").mockResolvedValueOnce({ type: "running", orderId: "o", attempt: 2 });
  const placing = at.place();
  await settle();
  expect(waitOf(otherNodes)).toMatchObject({ orderId: "o", attempt: 2 });
  waitOf(otherNodes).end({ json: "the newer" });
  expect(await (await placing).answer).toEqual({ json: "the newer" });
  at.end();
  expect(await first.answer).not.toEqual({ json: "the newer" });
  expect(at.orderService.inFlight).toBe(0);
});

test("a client that hangs up leaves at once, and the others wait on", async () => {
  await using nodes = await twoNodes();
  const { waiting, otherNodes } = nodes;
  const client = new AbortController();
  const placing = waiting.place("o", 1, client.signal);
  const other = waiting.place("o", 1, new AbortController().signal);
  await settle();
  client.abort();
  await expect(placing).rejects.toMatchObject({ kind: "canceled" });
  expect([waitOf(otherNodes).scope.cause, waitOf(otherNodes, 1).scope.cause]).toEqual(["client_disconnected", undefined]);
  expect([await hasEnded(other), waiting.orderService.inFlight]).toEqual([false, 1]);
  waitOf(otherNodes, 1).end({ json: "{}" });
  await other;
  // One that has hung up already does not even begin to wait.
  await expect(waiting.place("o", 1, client.signal)).rejects.toMatchObject({ kind: "canceled" });
  expect([otherNodes.waits.length, waiting.orderService.inFlight]).toEqual([2, 0]);
});

describe("a shutdown", () => {
  test("waits for those that wait, who get their answer", async () => {
    await using nodes = await twoNodes();
    const placing = nodes.waiting.place();
    await settle();
    const drained = nodes.waiting.orderService.drain();
    expect([await hasEnded(drained), await hasEnded(placing)]).toEqual([false, false]);
    waitOf(nodes.otherNodes).end({ json: "{}" });
    expect(await (await placing).answer).toEqual({ json: "{}" });
    await drained;
  });

  test("begins no new attempt for those whose attempt was canceled", async () => {
    await using nodes = await twoNodes();
    const placing = nodes.waiting.place();
    await settle();
    const drained = nodes.waiting.orderService.drain();
    nodes.client.abort();
    await nodes.answer;
    waitOf(nodes.otherNodes).end(undefined);
    await expect(placing).rejects.toMatchObject({ kind: "shutting_down" });
    await drained;
    expect(nodes.waiting.runner.started).toEqual([]);
  });

  test("refuses them when it cancels what is left, and those that come to wait later", async () => {
    await using nodes = await twoNodes();
    const { waiting, otherNodes } = nodes;
    const placing = waiting.place();
    await settle();
    const gate = Promise.withResolvers<void>();
    waiting.journal.gates.accept = gate.promise;
    const late = waiting.place();
    const drained = waiting.orderService.drain();
    waiting.orderService.cancelAll("shutdown");
    await expect(placing).rejects.toMatchObject({ kind: "shutting_down" });
    expect([waitOf(otherNodes).scope.cause, await hasEnded(drained)]).toEqual(["shutdown", false]);
    gate.resolve();
    await expect(late).rejects.toMatchObject({ kind: "shutting_down" });
    await drained;
    expect([otherNodes.waits.length, waiting.orderService.inFlight]).toEqual([1, 0]);
  });
});

describe("one that waits far longer than any order takes", () => {
  test("is refused as overloaded, and not before", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const otherNodes = new FakeOtherNodes();
    const waiting = new Elsewhere(otherNodes, 2_000).endOf("o", 1, undefined);
    const refused = expect(waiting).rejects.toMatchObject({ kind: "overloaded" });
    await vi.advanceTimersByTimeAsync(11_999);
    expect(waitOf(otherNodes).scope.cause).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(waitOf(otherNodes).scope.cause).toBe("deadline");
    await refused;
  });

  test("leaves no timer and no listener behind when its wait is over, which no shutdown cancels any more", async () => {
    const before = timers();
    const otherNodes = new FakeOtherNodes();
    const elsewhere = new Elsewhere(otherNodes, 2_000);
    const { signal } = new AbortController();
    const removed = vi.spyOn(signal, "removeEventListener");
    const waiting = elsewhere.endOf("o", 1, signal);
    expect(timers()).toBe(before + 1);
    waitOf(otherNodes).end(undefined);
    expect(await waiting).toBeUndefined();
    expect([timers(), removed.mock.calls.length]).toEqual([before, 1]);
    elsewhere.cancelAll("shutdown");
    expect(waitOf(otherNodes).scope.cause).toBeUndefined();
  });
});
