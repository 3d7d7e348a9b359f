import { expect, test } from "vitest";
import type { AdmissionGate } from "../../src/orders/admission-gate.ts";
import { CANCEL_CAUSES, ORDER_CAUSES, orderCause } from "../../src/orders/cancel-cause.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { BUILT_IN_CAUSES } from "../../src/threads/index.ts";
import { OrderServiceFixture } from "./order-service-fixture.ts";

/** Notes what it is asked, and refuses when a test asks for it. */
class FakeGate implements AdmissionGate {
  readonly calls: string[] = [];
  refuses = false;

  admit(priority: number, computing: readonly string[]) {
    this.calls.push(`admit ${priority} ${computing}`);
    return this.refuses ? { message: "no", retryAfterSeconds: 7 } : undefined;
  }

  arrived(priority: number, computing: readonly string[]): void {
    this.calls.push(`arrived ${priority} ${computing}`);
  }

  full(): number {
    return 9;
  }
}

const overloaded = (retryAfterSeconds: number) => expect.objectContaining({ kind: "overloaded", retryAfterSeconds });

test("an order that is refused reaches neither the journal nor a thread, and holds no place", async () => {
  const gate = new FakeGate();
  gate.refuses = true;
  await using at = new OrderServiceFixture({ gate });
  at.journal.refusals.accept = 1;
  await expect(at.place()).rejects.toEqual(overloaded(7));
  expect([at.orderService.inFlight, at.journal.refusals.accept, at.runner.started.length]).toEqual([0, 1, 0]);
});

test("its priority and its steps that compute are asked about, and it has arrived when its steps start", async () => {
  const gate = new FakeGate();
  await using at = new OrderServiceFixture({ gate });
  at.runner.onStart = () => gate.calls.push("step");
  const order = { orderId: "o", amount: 1, simulation: { cpuMs: { payment: 5, vendor: 0, courier: 1 } } };
  await at.orderService.place({ order, priority: 2 });
  expect(gate.calls).toEqual(["admit 2 payment,courier", "arrived 2 payment,courier", ...STEPS.map(() => "step")]);
});

test("requests for an order that is being written down, or that runs, start no work and are not asked about", async () => {
  const gate = new FakeGate();
  await using at = new OrderServiceFixture({ gate });
  const together = Promise.all([at.place(), at.place()]);
  await together;
  gate.refuses = true;
  await at.place();
  await expect(at.place("o", 2)).rejects.toMatchObject({ kind: "order_conflict" });
  expect(gate.calls).toEqual(["admit 1 ", "arrived 1 "]);
  expect(at.orderService.inFlight).toBe(3);
  await expect(at.place("another")).rejects.toEqual(overloaded(7));
});

test("one that turns out to be a repeat, or cannot be written down, gives its place back", async () => {
  const gate = new FakeGate();
  await using at = new OrderServiceFixture({ gate });
  const placement = await at.place();
  at.end();
  await placement.answer;
  expect((await at.place()).replayed).toBe(true);
  at.journal.full = true;
  await expect(at.place("other")).rejects.toMatchObject({ kind: "internal" });
  at.journal.full = false;
  expect(gate.calls).toEqual(Array(3).fill(["admit 1 ", "arrived 1 "]).flat());
  expect(at.orderService.inFlight).toBe(0);
});

test("past MAX_IN_FLIGHT the gate says when to come again", async () => {
  await using at = new OrderServiceFixture({ gate: new FakeGate(), maxInFlight: 1 });
  await at.place();
  await expect(at.place()).rejects.toEqual(overloaded(9));
});

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

test("whatever the threads cancel for, an order answers with one of its four causes", () => {
  const answered = Object.fromEntries([...BUILT_IN_CAUSES, ...ORDER_CAUSES].map((cause) => [cause, orderCause(cause)]));
  expect(answered).toEqual({
    sibling_failed: "sibling_failed",
    deadline: "deadline",
    aborted: "shutdown",
    closed: "shutdown",
    client_disconnected: "client_disconnected",
    shutdown: "shutdown",
  });
  expect(new Set(Object.values(answered))).toEqual(new Set(CANCEL_CAUSES));
});
