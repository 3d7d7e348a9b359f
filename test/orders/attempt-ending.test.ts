import { afterEach, describe, expect, test, vi } from "vitest";
import { FIRST_TRIES } from "../../src/orders/compensation-call.ts";
import type { StepOutcome } from "../../src/orders/step.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { NO, OK, settle } from "./compensator-fixture.ts";
import { CUT_OFF, hasEnded, OrderServiceFixture, REFUSED, refuse } from "./order-service-fixture.ts";

const NOT_BEGUN: StepOutcome = { status: "canceled", cause: "sibling_failed", effect: "none" };

afterEach(() => void vi.useRealTimers());
const fakeTime = () => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });

describe("the order of things when an order has failed", () => {
  test("its rows are durable before the first provider is asked to take anything back", async () => {
    await using at = new OrderServiceFixture();
    const { answer } = await at.place();
    const gate = Promise.withResolvers<void>();
    at.journal.gates.finish = gate.promise;
    refuse(at);
    expect(await hasEnded(answer)).toBe(false);
    expect([at.compensated(), at.compensator.inFlight]).toEqual([[], 0]);
    // Their places are taken, nothing more.
    const places = Array.from({ length: FIRST_TRIES }, () => at.compensator.plan(["payment"]));
    expect(places.filter(([row]) => row?.trying)).toHaveLength(FIRST_TRIES - 1);
    for (const place of places) at.compensator.release(place);
    gate.resolve();
    await settle();
    expect(at.compensated()).toEqual(["payment", "vendor"]);
    expect(at.journal.rows.map(({ step, status }) => [step, status])).toEqual([
      ["payment", "trying"],
      ["vendor", "trying"],
    ]);
    expect(at.journal.finished[0]).toMatchObject({ answered: false, answer: { error: "no_courier" } });
  });

  test("its answer is stored before it is sent, with what has come of the compensations", async () => {
    await using at = new OrderServiceFixture();
    const { answer } = await at.place();
    const gate = Promise.withResolvers<void>();
    at.journal.gates.answer = gate.promise;
    refuse(at, OK);
    await settle();
    const [payment, vendor] = at.steps("compensate");
    payment?.end(OK);
    vendor?.end(NO);
    expect(await hasEnded(answer)).toBe(false);
    expect(at.orderService.inFlight).toBe(1);
    gate.resolve();
    const sent = await answer;
    expect(at.journal.answered).toMatchObject([{ json: sent.json, answered: true, tried: [{ step: "payment" }, { step: "vendor" }] }]);
    expect(JSON.parse(sent.json).steps).toMatchObject([{ compensation: "done" }, { compensation: "pending" }, { detail: "no_courier" }]);
    expect(at.journal.tried).toEqual([]);
    expect(at.journal.rows.map(({ status }) => status)).toEqual(["done", "pending"]);
  });

  test.each([
    ["a placed order", () => OK, ["accept", "finish"]],
    ["one that left nothing behind", (name: string) => (name === "courier" ? REFUSED : NOT_BEGUN), ["accept", "finish"]],
    ["one that left a call in doubt", (name: string) => (name === "vendor" ? CUT_OFF : REFUSED), ["accept", "finish", "answer"]],
    ["one that left all three", (name: string) => (name === "courier" ? NO : OK), ["accept", "finish", "answer"]],
  ] as const)("%s is so many commits", async (_which, outcomeOf, commits) => {
    await using at = new OrderServiceFixture({ compensate: OK });
    const { answer } = await at.place();
    for (const step of at.steps("perform")) step.end(outcomeOf(step.spec.name));
    await answer;
    await settle();
    expect(at.journal.commits).toEqual(commits);
  });
});

describe("how long an answer waits for compensations", () => {
  test("half a second; those that end later are stored one by one", async () => {
    fakeTime();
    await using at = new OrderServiceFixture();
    const { answer } = await at.place();
    refuse(at, OK);
    await settle();
    const [payment, vendor] = at.steps("compensate");
    payment?.end(OK);
    await vi.advanceTimersByTimeAsync(499);
    expect(await hasEnded(answer)).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await hasEnded(answer)).toBe(true);
    expect(JSON.parse((await answer).json).steps).toMatchObject([{ compensation: "done" }, { compensation: "pending" }, {}]);
    expect([at.journal.commits, at.orderService.inFlight]).toEqual([["accept", "finish", "answer"], 0]);
    vendor?.end(OK);
    await settle();
    expect(at.journal.commits).toEqual(["accept", "finish", "answer", "compensationTried"]);
    expect(at.journal.rows.map(({ status }) => status)).toEqual(["done", "done"]);
  });

  test("not at all where the client has gone: nothing is lost by that", async () => {
    fakeTime();
    await using at = new OrderServiceFixture();
    const client = new AbortController();
    const { answer } = await at.place("o", 1, client.signal);
    client.abort();
    expect(await hasEnded(answer)).toBe(true);
    expect(at.journal.answered).toMatchObject([{ answered: false, tried: [] }]);
    expect(at.compensated()).toEqual(STEPS.toSorted());
    for (const step of at.steps("compensate")) step.end(OK);
    await settle();
    expect(at.journal.rows.map(({ status }) => status)).toEqual(STEPS.map(() => "done"));
    expect(at.journal.tried).toHaveLength(STEPS.length);
  });
});

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
    fakeTime();
    await using at = new OrderServiceFixture();
    const storing = vi.spyOn(at.journal, "answer");
    const gate = Promise.withResolvers<void>();
    at.journal.gates.answer = gate.promise;
    const client = new AbortController();
    const { answer } = await at.place("o", 1, client.signal);
    await vi.advanceTimersByTimeAsync(60_000);
    await settle();
    expect(at.compensated()).toHaveLength(STEPS.length);
    client.abort();
    await vi.advanceTimersByTimeAsync(500);
    await settle();
    expect(storing).toHaveBeenCalledTimes(1);
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

test("whoever asks, without a key too, before a canceled attempt is closed waits for that, and they share one new attempt", async () => {
  await using at = new OrderServiceFixture();
  const client = new AbortController();
  const first = await at.place("o", 1, client.signal);
  const gate = Promise.withResolvers<void>();
  at.journal.gates.answer = gate.promise;
  client.abort();
  await eventually("its compensations", () => at.steps("compensate").length === STEPS.length);
  let placed = 0;
  const waiting = [1, 2, 3].map(() => at.place().finally(() => placed++));
  await settle();
  expect([placed, at.orderService.inFlight, at.journal.answered.length]).toEqual([0, 4, 0]);
  expect(at.steps("perform", "o", 2)).toEqual([]);
  gate.resolve();
  const placements = await Promise.all(waiting);
  expect((await first.answer).error).toBe("canceled");
  expect(at.steps("perform", "o", 2)).toHaveLength(STEPS.length);
  at.end({ status: "ok" }, "o", 2);
  for (const { answer } of placements) expect(await answer).not.toHaveProperty("error");
  expect(at.steps("perform", "o", 3)).toEqual([]);
  expect(at.orderService.inFlight).toBe(0);
  // Nobody waited for the compensations of the first, which end in their own time.
  expect(at.journal.rows.map(({ status }) => status)).toEqual(STEPS.map(() => "trying"));
  for (const step of at.steps("compensate")) step.end({ status: "ok" });
  await eventually("them to be done", () => at.journal.rows.every(({ status }) => status === "done"));
});

test("one that asks while a canceled attempt ends well after all gets its stored answer", async () => {
  await using at = new OrderServiceFixture();
  for (const name of STEPS) at.runner.ignoringCancel.add(name);
  const client = new AbortController();
  const first = await at.place("o", 1, client.signal);
  client.abort();
  const second = at.place();
  await settle();
  at.end();
  const { answer, replayed } = await second;
  expect([replayed, (await answer).error]).toEqual([true, undefined]);
  expect(await answer).toEqual(await first.answer);
  expect(at.orderService.inFlight).toBe(0);
});
