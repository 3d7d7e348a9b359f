import { afterEach, describe, expect, test, vi } from "vitest";
import type { StepOutcome } from "../../src/orders/step.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { NO, OK, settle } from "./compensator-fixture.ts";
import { CUT_OFF, hasEnded, OrderServiceFixture, REFUSED, refuse } from "./order-service-fixture.ts";

const NOT_BEGUN: StepOutcome = { status: "canceled", cause: "sibling_failed", effect: "none" };

describe("the order of things when an order has failed", () => {
  test("its rows are durable before the first provider is asked to take anything back", async () => {
    await using at = new OrderServiceFixture();
    const { answer } = await at.place();
    const gate = Promise.withResolvers<void>();
    at.journal.gates.finish = gate.promise;
    refuse(at);
    expect(await hasEnded(answer)).toBe(false);
    // Their places are taken, nothing more.
    expect([at.compensated(), at.compensator.inFlight]).toEqual([[], 2]);
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

  test("what failed before the answer is tried again after it, though nobody comes by in the meantime", async () => {
    await using at = new OrderServiceFixture();
    const { answer } = await at.place();
    refuse(at, OK);
    await settle();
    const [payment, vendor] = at.steps("compensate");
    payment?.end(NO);
    vendor?.end(OK);
    await answer;
    await eventually("the second try", () => at.compensated().length === 3);
    expect(at.compensated()).toEqual(["payment", "payment", "vendor"]);
    at.steps("compensate").at(-1)?.end(OK);
    await eventually("it to be done", () => at.journal.row("payment", "o").status === "done");
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
  afterEach(() => void vi.useRealTimers());
  const fakeTime = () => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });

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

  test("not at all for rows whose try could not begin", async () => {
    fakeTime();
    await using at = new OrderServiceFixture();
    const { answer } = await at.place();
    await at.compensator.stop();
    refuse(at);
    expect(await hasEnded(answer)).toBe(true);
    expect([at.compensated(), at.journal.rows.map(({ status }) => status)]).toEqual([[], ["pending", "pending"]]);
  });
});
