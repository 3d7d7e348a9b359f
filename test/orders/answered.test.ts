import { describe, expect, test, vi } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { OK, settle } from "./compensator-fixture.ts";
import { hasEnded, OrderServiceFixture, REFUSED, refuse } from "./order-service-fixture.ts";

describe("whether an answer was received is stored with it", () => {
  const answeredOf = ({ journal }: OrderServiceFixture) => (journal.answered[0] ?? journal.finished[0])?.answered;

  test.each([OK, REFUSED])("yes, where somebody waits for $status", async (outcome) => {
    await using at = new OrderServiceFixture({ compensate: OK });
    const { answer } = await at.place();
    at.end(outcome);
    await answer;
    expect(answeredOf(at)).toBe(true);
  });

  test("no, where everybody has gone, though every step went well", async () => {
    await using at = new OrderServiceFixture();
    for (const name of STEPS) at.runner.ignoringCancel.add(name);
    const client = new AbortController();
    const { answer } = await at.place("o", 1, client.signal);
    client.abort();
    at.end();
    expect(await answer).not.toHaveProperty("error");
    expect(answeredOf(at)).toBe(false);
  });

  test("no, where everybody has gone after the deadline; who asks while that is being stored gets a new attempt, not that answer", async () => {
    await using at = new OrderServiceFixture({ orderTimeoutMs: 20 });
    const storing = vi.spyOn(at.journal, "answer");
    const gate = Promise.withResolvers<void>();
    at.journal.gates.answer = gate.promise;
    const client = new AbortController();
    const { answer } = await at.place("o", 1, client.signal);
    await eventually("the deadline", () => at.compensated().length === STEPS.length);
    client.abort();
    await eventually("the answer to be stored", () => storing.mock.calls.length === 1);
    const second = at.place();
    expect(await hasEnded(second)).toBe(false);
    gate.resolve();
    expect((await answer).error).toBe("timeout");
    expect(answeredOf(at)).toBe(false);
    const { answer: its } = await second;
    at.end(OK, "o", 2);
    expect(await its).not.toHaveProperty("error");
  });

  test("yes, where one of two has gone", async () => {
    await using at = new OrderServiceFixture({ compensate: OK });
    const client = new AbortController();
    const first = await at.place("o", 1, client.signal);
    const second = await at.place();
    client.abort();
    at.end(REFUSED);
    expect(await second.answer).toEqual(await first.answer);
    expect(answeredOf(at)).toBe(true);
  });

  test("no, where a shutdown canceled the order: its client is to ask again", async () => {
    await using at = new OrderServiceFixture({ compensate: OK });
    const { answer } = await at.place();
    at.orderService.cancelAll("shutdown");
    expect((await answer).error).toBe("canceled");
    expect(answeredOf(at)).toBe(false);
  });

  test("yes, where the order had failed by itself and the shutdown came while its compensations were waited for", async () => {
    await using at = new OrderServiceFixture();
    const { answer } = await at.place();
    refuse(at);
    await settle();
    expect(at.compensated()).toHaveLength(2);
    at.orderService.cancelAll("shutdown");
    for (const step of at.steps("compensate")) step.end(OK);
    expect((await answer).error).toBe("no_courier");
    expect(answeredOf(at)).toBe(true);
  });

  test("yes, where every step went well in spite of a shutdown", async () => {
    await using at = new OrderServiceFixture();
    for (const name of STEPS) at.runner.ignoringCancel.add(name);
    const { answer } = await at.place();
    at.orderService.cancelAll("shutdown");
    at.end();
    expect(await answer).not.toHaveProperty("error");
    expect(answeredOf(at)).toBe(true);
  });
});

test("an order that is accepted while a shutdown cancels runs no step, charges nothing, and its answer holds no key", async () => {
  await using at = new OrderServiceFixture();
  const gate = Promise.withResolvers<void>();
  at.journal.gates.accept = gate.promise;
  const placing = at.place();
  await settle();
  const drained = at.orderService.drain();
  at.orderService.cancelAll("shutdown");
  expect(await hasEnded(drained)).toBe(false);
  gate.resolve();
  const { answer } = await placing;
  const { error, json } = await answer;
  expect([error, JSON.parse(json).steps.map(({ detail }: { detail: string }) => detail)]).toEqual([
    "canceled",
    STEPS.map(() => "shutdown"),
  ]);
  // What the fake runner was asked for came with a scope that was canceled already; the threads run no such step.
  expect(at.journal.finished).toMatchObject([{ answered: false }]);
  await drained;
  expect(at.orderService.inFlight).toBe(0);
});
