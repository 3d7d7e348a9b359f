import { expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { OK, settle } from "./compensator-fixture.ts";
import { FakeOtherNodes, type FakeWatch } from "./fake-other-nodes.ts";
import { OrderServiceFixture, refuse } from "./order-service-fixture.ts";

const watchOf = ({ watches }: FakeOtherNodes, place = 0) => watches[place] as FakeWatch;

/** An order whose only client has hung up. */
async function abandoned() {
  const otherNodes = new FakeOtherNodes();
  const at = new OrderServiceFixture({ compensate: OK, otherNodes });
  const client = new AbortController();
  const { answer } = await at.place("o", 1, client.signal);
  expect(otherNodes.watches).toEqual([]);
  client.abort();
  expect(otherNodes.watches).toMatchObject([{ orderId: "o", attempt: 1 }]);
  return { at, otherNodes, watch: watchOf(otherNodes), answer, [Symbol.asyncDispose]: () => at[Symbol.asyncDispose]() };
}

test("an order whose clients have hung up here goes on while one at another node waits, and is canceled when that leaves", async () => {
  await using order = await abandoned();
  const { at, watch } = order;
  await settle();
  expect(at.runner.running).toBe(STEPS.length);
  for (let times = 0; times < 3; times++) {
    watch.tell(true);
    await settle();
    expect([at.runner.running, watch.isStopped]).toEqual([STEPS.length, false]);
  }
  watch.tell(false);
  expect((await order.answer).error).toBe("canceled");
  expect([at.runner.running, at.orderService.inFlight, watch.isStopped]).toEqual([0, 0, true]);
  expect(at.journal.answered).toMatchObject([{ answered: false }]);
});

test.each([
  ["somebody elsewhere waited when that was asked last", true, true],
  ["other nodes have not replied yet: who waits there begins a new attempt", undefined, false],
])("the answer of an order that fails by itself is one that was received or not: %s", async (_, isAwaited, answered) => {
  await using order = await abandoned();
  const { at, watch } = order;
  if (isAwaited !== undefined) watch.tell(isAwaited);
  refuse(at);
  expect((await order.answer).error).toBe("no_courier");
  expect(at.journal.answered).toMatchObject([{ answered }]);
  expect(watch.isStopped).toBe(true);
});

test("one that a shutdown cancels is received by nobody: who waits elsewhere begins a new attempt", async () => {
  await using order = await abandoned();
  order.watch.tell(true);
  order.at.orderService.cancelAll("shutdown");
  expect((await order.answer).error).toBe("canceled");
  expect(order.at.journal.answered).toMatchObject([{ answered: false }]);
});

test("one whose compensations somebody elsewhere waits for is not answered before them", async () => {
  const otherNodes = new FakeOtherNodes();
  await using at = new OrderServiceFixture({ otherNodes });
  const client = new AbortController();
  const { answer } = await at.place("o", 1, client.signal);
  client.abort();
  watchOf(otherNodes).tell(true);
  refuse(at);
  await settle();
  expect([at.compensated().length, at.journal.answered]).toEqual([2, []]);
  for (const step of at.steps("compensate")) step.end(OK);
  expect((await answer).error).toBe("no_courier");
  expect(at.journal.answered).toMatchObject([{ answered: true, tried: [{}, {}] }]);
});

test("a request that joins here ends the watch, and its hang-up begins another", async () => {
  await using order = await abandoned();
  const { at, otherNodes, watch } = order;
  const client = new AbortController();
  watch.tell(true);
  await at.place("o", 1, client.signal);
  expect(watch.isStopped).toBe(true);
  await settle();
  expect(at.runner.running).toBe(STEPS.length);
  client.abort();
  expect(otherNodes.watches).toHaveLength(2);
  await settle();
  expect(at.runner.running).toBe(STEPS.length);
  // What was known before counts no more.
  refuse(at);
  await order.answer;
  expect(at.journal.answered).toMatchObject([{ answered: false }]);
  expect(watchOf(otherNodes, 1).isStopped).toBe(true);
});

test("nobody is asked about an order that has ended, or about one whose client hung up before it began", async () => {
  const otherNodes = new FakeOtherNodes();
  await using at = new OrderServiceFixture({ compensate: OK, otherNodes });
  const client = new AbortController();
  const { answer } = await at.place("o", 1, client.signal);
  at.end();
  await answer;
  client.abort();
  const placement = await at.place("p", 1, client.signal);
  expect((await placement.answer).error).toBe("canceled");
  expect(otherNodes.watches).toEqual([]);
  expect(at.steps("perform", "p")).toEqual([]);
});
