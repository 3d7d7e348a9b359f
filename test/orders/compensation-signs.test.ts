import { describe, expect, test } from "vitest";
import { FIRST_TRIES } from "../../src/orders/compensation-call.ts";
import type { StepOutcome } from "../../src/orders/step.ts";
import type { Pass } from "../../src/resilience/circuit-breaker.ts";
import { answered, CompensatorFixture, NO, OK } from "./compensator-fixture.ts";

const HANG: StepOutcome = { status: "canceled", cause: "deadline", effect: "unknown" };
const CUT: StepOutcome = { status: "failed", kind: "internal", effect: "unknown", answer: "ECONNRESET" };
const REFUSED: StepOutcome = { status: "failed", kind: "internal", effect: "none", answer: "ECONNREFUSED" };
const LOST: StepOutcome = { status: "lost", reason: "its thread died", effect: "unknown" };

/** How many first tries of orders that fail now may begin at once. */
function firstTriesNow({ compensator }: CompensatorFixture): number {
  const plans = Array.from({ length: FIRST_TRIES }, () => compensator.plan(["vendor"]));
  for (const plan of plans) compensator.release(plan);
  return plans.filter(([row]) => row?.trying).length;
}

/** Has so many rows that failed before fail again, each in its turn. */
async function failAgain(at: CompensatorFixture, times: number, outcome: StepOutcome): Promise<void> {
  for (let n = 0; n < times; n++) {
    const row = at.journal.addRow("vendor", at.clock.nowMs() + 1_000_000, `again ${n}`, 3);
    const trying = at.compensator.tryNow(at.journal.take(row));
    at.last("vendor").end(outcome);
    await trying;
  }
}

describe("what an answer to a compensation says of its address", () => {
  test.each([
    { outcome: answered(500), words: "HTTP 500", first: FIRST_TRIES },
    { outcome: answered(404), words: "HTTP 404", first: FIRST_TRIES },
    { outcome: HANG, words: "no answer in 60000 ms", first: 0 },
    { outcome: CUT, words: "ECONNRESET", first: 0 },
    { outcome: REFUSED, words: "ECONNREFUSED", first: 0 },
  ])("$words to five orders: down; an answer of any kind lets first tries go on", async ({ outcome, words, first }) => {
    await using at = new CompensatorFixture();
    for (let n = 0; n < 4; n++) await at.failAndTry(`o-${n}`, "vendor", outcome);
    expect([at.changes, firstTriesNow(at)]).toEqual([[], FIRST_TRIES]);
    await at.failAndTry("o-4", "vendor", outcome);
    expect([at.changes, firstTriesNow(at)]).toEqual([["vendor down"], first]);
    // What operators are told of a row that is due.
    expect([at.compensator.waitsFor("vendor", 1), at.compensator.waitsFor("payment", 1)]).toEqual(["probing", "bulkhead"]);
    expect(at.compensator.waitsFor("vendor", 0)).toBe(first === 0 ? "probing" : "bulkhead");
    expect(at.journal.row("vendor", "o-0").lastAnswer).toBe(words);
    // Another address is another matter.
    expect(at.compensator.plan(["payment"])).toEqual([{ step: "payment", trying: true }]);
    at.compensator.release([{ step: "payment", trying: true }]);
  });

  test.each([
    { outcome: answered(500), counts: false },
    { outcome: HANG, counts: false },
    { outcome: CUT, counts: false },
    // No connection is never the row's fault.
    { outcome: REFUSED, counts: true },
    { outcome: LOST, counts: false },
  ])("rows that fail again with $outcome say something of the address: $counts", async ({ outcome, counts }) => {
    await using at = new CompensatorFixture();
    await failAgain(at, 10, outcome);
    expect([at.changes, firstTriesNow(at)]).toEqual(counts ? [["vendor down"], 0] : [[], FIRST_TRIES]);
  });

  test("a thread that was lost says nothing, and the row is tried again", async () => {
    await using at = new CompensatorFixture();
    for (let n = 0; n < 10; n++) await at.failAndTry(`o-${n}`, "vendor", LOST);
    expect([at.changes, firstTriesNow(at)]).toEqual([[], FIRST_TRIES]);
    expect(at.journal.row("vendor", "o-9")).toMatchObject({ status: "pending", tries: 1, lastAnswer: "its thread was lost" });
  });

  test("down: the row of a probe is due with the next one; that of a lost thread, which was no probe, has a pause of its own", async () => {
    await using at = new CompensatorFixture();
    await at.takeDown("vendor");
    await at.failAndTry("probe", "vendor", NO);
    await at.failAndTry("lost", "vendor", LOST);
    const inMs = (orderId: string) => (at.journal.row("vendor", orderId).nextTryMs ?? 0) - at.clock.nowMs();
    // No pause follows what says nothing: without one of its own it would be tried over and over.
    expect([inMs("probe"), inMs("lost")]).toEqual([0, 200]);
  });

  test("429 and 503 make room for fewer at a time, each success for one more", async () => {
    await using at = new CompensatorFixture();
    await failAgain(at, 3, answered(429));
    expect(firstTriesNow(at)).toBe(12);
    await failAgain(at, 1, answered(503));
    expect(firstTriesNow(at)).toBe(6);
    await failAgain(at, 3, answered(500));
    expect(firstTriesNow(at)).toBe(6);
    await failAgain(at, 3, OK);
    expect(firstTriesNow(at)).toBe(9);
  });

  test("Retry-After of three rows in a row holds the address, for a minute at most; of one its own row alone", async () => {
    await using at = new CompensatorFixture();
    at.compensator.start();
    const asks = answered(503, 31_536_000_000);
    await at.failAndTry("o-0", "vendor", asks);
    await at.failAndTry("o-1", "vendor", asks);
    expect(firstTriesNow(at)).toBeGreaterThan(0);
    await at.failAndTry("o-2", "vendor", asks);
    expect(firstTriesNow(at)).toBe(0);
    const before = at.calls("vendor").length;
    await at.fail("waits", ["vendor"]);
    await at.pass(59_500);
    expect(at.calls("vendor")).toHaveLength(before);
    await at.pass(1_000);
    expect(at.calls("vendor").slice(before, before + 1)[0]?.input.orderId).toBe("waits");
    await at.drainRows("vendor");
  });
});

describe("a provider that is down", () => {
  test("is asked by first tries while it answers anything, and by rows that failed one at a time", async () => {
    await using at = new CompensatorFixture();
    at.compensator.start();
    await at.takeDown("vendor", NO);
    for (let n = 0; n < 10; n++) at.journal.addRow("vendor", at.clock.nowMs(), `old ${n}`, 2);
    const { rows, tries } = await at.fail("new", ["vendor"]);
    expect(rows).toEqual([{ step: "vendor", trying: true }]);
    const before = at.calls("vendor").length;
    await at.pass(10_000);
    // One probe beside the first try; it hangs, so there is no other.
    expect(at.calls("vendor")).toHaveLength(before + 1);
    // The one tried least: one of those that took the address down.
    expect(at.last("vendor").input.orderId).toMatch(/^dead-/);
    at.calls("vendor")[before - 1]?.end(OK);
    await tries.ended;
    await at.answer("new", tries);
    expect(at.changes).toEqual(["vendor down", "vendor up"]);
    await at.pass(1_000);
    expect(at.calls("vendor").length).toBeGreaterThan(before + 5);
    await at.drainRows("vendor");
  });
});

test("what failed while an address was down is not held against its row, which waits no longer then than the address has been up", async () => {
  await using at = new CompensatorFixture();
  /** Of a row that was probed with again and again. */
  const pauseMs = async () => {
    const row = at.journal.addRow("vendor", at.clock.nowMs() + 1_000_000, "probed", 20);
    const trying = at.compensator.tryNow(at.journal.take(row));
    at.last("vendor").end(NO);
    await trying;
    return (row.nextTryMs ?? 0) - at.clock.nowMs();
  };
  const HOUR_MS = 3_600_000;
  expect(await pauseMs()).toBe(HOUR_MS);
  await at.takeDown("vendor");
  expect(await pauseMs()).toBe(0);
  await at.failAndTry("well", "vendor", OK);
  expect(await pauseMs()).toBe(200);
  at.clock.advance(60_000);
  expect(await pauseMs()).toBe(60_000);
  at.clock.advance(HOUR_MS);
  expect(await pauseMs()).toBe(HOUR_MS);
});

describe("a provider whose orders find its circuit open", () => {
  const openByOrders = ({ vendor }: CompensatorFixture, retryAfterMs = 0) => {
    for (let n = 0; n < 20; n++) vendor.circuit.leave(vendor.circuit.tryEnter(`failing ${n}`) as Pass, "failed", retryAfterMs);
    expect(vendor.circuit.state).toBe("open");
  };

  test("gets its compensations all the same, few at a time at first, and more with each that is done", async () => {
    await using at = new CompensatorFixture();
    at.compensator.start();
    openByOrders(at);
    expect([firstTriesNow(at), at.changes]).toEqual([4, []]);
    for (let n = 0; n < 100; n++) at.journal.addRow("vendor", at.clock.nowMs(), `old ${n}`, 3);
    at.compensator.notify();
    await at.pass(500);
    const few = at.calls("vendor").length;
    expect(few).toBe(4);
    for (const call of at.calls("vendor")) call.end(OK);
    await at.pass(500);
    expect(at.calls("vendor").length).toBeGreaterThan(2 * few);
    await at.drainRows("vendor");
    expect([at.vendor.circuit.state, firstTriesNow(at)]).toEqual(["open", FIRST_TRIES]);
  });

  test("learns nothing from compensations: neither that they fail nor that they are done", async () => {
    await using at = new CompensatorFixture();
    await failAgain(at, 30, answered(503, 7_000));
    expect([at.vendor.circuit.state, at.vendor.circuit.admits]).toEqual(["closed", true]);
    openByOrders(at);
    await failAgain(at, 30, OK);
    expect(at.vendor.circuit.state).toBe("open");
  });
});
