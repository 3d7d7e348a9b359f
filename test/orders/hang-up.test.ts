import { expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { OrderServiceFixture } from "./order-service-fixture.ts";

test("an order is canceled when the signal of the last client that waits for it is aborted, and not before", async () => {
  await using at = new OrderServiceFixture({ compensate: { status: "ok" } });
  const clients = [1, 2, 3].map(() => new AbortController());
  const [first, second, third] = clients as [AbortController, AbortController, AbortController];
  const { answer } = await at.place("o", 1, first.signal);
  await at.place("o", 1, second.signal);
  await at.place("o", 1, third.signal);
  expect(at.orderService.inFlight).toBe(3);
  second.abort();
  first.abort();
  // The attempt keeps its place; of those who only waited, one is left.
  expect(at.orderService.inFlight).toBe(2);
  expect(at.runner.running).toBe(STEPS.length);
  third.abort();
  expect((await answer).error).toBe("canceled");
  expect(at.orderService.inFlight).toBe(0);
});

test("an order whose client hangs up while it is being written down is canceled, and none of its steps runs", async () => {
  await using at = new OrderServiceFixture({ compensate: { status: "ok" } });
  const client = new AbortController();
  const placing = at.place("o", 1, client.signal);
  client.abort();
  const { answer } = await placing;
  expect((await answer).error).toBe("canceled");
  expect(at.runner.started).toEqual([]);
  expect(at.orderService.inFlight).toBe(0);
});

test("a client without a signal waits to the end, whoever else hangs up", async () => {
  await using at = new OrderServiceFixture();
  const client = new AbortController();
  const { answer } = await at.place("o", 1, client.signal);
  await at.place();
  client.abort();
  at.end();
  expect(await answer).not.toHaveProperty("error");
  expect(at.orderService.inFlight).toBe(0);
});

test("a signal that is aborted after the answer changes nothing", async () => {
  await using at = new OrderServiceFixture();
  const client = new AbortController();
  const { answer } = await at.place("o", 1, client.signal);
  at.end();
  expect(await answer).not.toHaveProperty("error");
  client.abort();
  expect(at.orderService.inFlight).toBe(0);
  expect((await at.place()).replayed).toBe(true);
  expect(at.steps("compensate")).toEqual([]);
});
