import { describe, expect, test } from "vitest";
import { type AttemptEnding, balance } from "../../load/stand-in/balance.ts";
import type { CallBody } from "../../load/stand-in/call.ts";
import { Ledger, type LedgerEntry, type LedgerSnapshot } from "../../load/stand-in/ledger.ts";
import { STEP_TABLE, STEPS, type StepName } from "../../src/orders/steps.ts";

const key = (id: string, attempt: number, step: StepName) => `${id}:${attempt}:${step}`;
const body = (id: string, step: StepName): CallBody => (step === "courier" ? { order_id: id } : { order_id: id, amount: 5 });

function perform(ledger: Ledger, id: string, attempt = 1, steps: readonly StepName[] = STEPS): void {
  for (const step of steps) ledger.perform(step, key(id, attempt, step), body(id, step));
}
function compensate(ledger: Ledger, id: string, attempt = 1, steps: readonly StepName[] = STEPS): void {
  for (const step of steps) ledger.compensate(step, { ...body(id, step), undoes: key(id, attempt, step) });
}
const placed = (orderId: string, attempt = 1): AttemptEnding => ({ orderId, attempt, ok: true, amount: 5 });
const failed = (orderId: string, attempt = 1): AttemptEnding => ({ orderId, attempt, ok: false });
const reasons = (ledger: LedgerSnapshot, endings: AttemptEnding[]) => balance(ledger, endings).map(({ reason }) => reason);

/** A ledger that no correct provider could have written. */
function forged(change: (entry: LedgerEntry) => Partial<LedgerEntry>, more: Partial<LedgerSnapshot> = {}): LedgerSnapshot {
  const ledger = new Ledger();
  perform(ledger, "a");
  const snapshot = ledger.snapshot();
  return {
    ...snapshot,
    ...more,
    entries: snapshot.entries.map((entry) => (entry.step === "payment" ? { ...entry, ...change(entry) } : entry)),
  };
}

describe("holds for", () => {
  test("nothing at all, and for failures that reached nobody", () => {
    expect(balance(new Ledger().snapshot(), [failed("a")])).toEqual([]);
  });

  test("a placed order", () => {
    const ledger = new Ledger();
    perform(ledger, "a");
    perform(ledger, "a");
    expect(balance(ledger.snapshot(), [placed("a")])).toEqual([]);
  });

  test("a failed order with whatever it did compensated, tombstones without calls and calls refused after them", () => {
    const ledger = new Ledger();
    perform(ledger, "a", 1, ["payment"]);
    compensate(ledger, "a");
    perform(ledger, "a", 1, ["courier"]);
    expect(balance(ledger.snapshot(), [failed("a")])).toEqual([]);
  });

  test("an order placed at its second attempt, and attempts nobody has heard of", () => {
    const ledger = new Ledger();
    perform(ledger, "a", 1, ["vendor", "payment"]);
    compensate(ledger, "a", 1);
    perform(ledger, "a", 2);
    perform(ledger, "b", 1);
    compensate(ledger, "b", 1);
    expect(balance(ledger.snapshot(), [failed("a", 1), placed("a", 2)])).toEqual([]);
  });

  test("ids with colons and percent signs", () => {
    const ledger = new Ledger();
    const id = "a:2:payment";
    perform(ledger, id, 3);
    expect(balance(ledger.snapshot(), [placed(id, 3)])).toEqual([]);
  });
});

describe("finds", () => {
  test.each(STEPS)("a placed order whose %s was never done", (step) => {
    const ledger = new Ledger();
    const others = STEPS.filter((other) => other !== step);
    perform(ledger, "a", 1, others);
    expect(balance(ledger.snapshot(), [placed("a")])).toEqual([{ orderId: "a", attempt: 1, reason: `${step}: never done` }]);
    ledger.perform(step, key("a", 1, step), body("a", step), 402);
    expect(balance(ledger.snapshot(), [placed("a")])).toEqual([{ orderId: "a", attempt: 1, reason: `${step}: never done` }]);
  });

  test.each(STEPS)("a placed order whose %s was compensated", (step) => {
    const ledger = new Ledger();
    perform(ledger, "a");
    compensate(ledger, "a", 1, [step]);
    expect(reasons(ledger.snapshot(), [placed("a")])).toEqual([`${step}: compensated, though the order is placed`]);
  });

  test.each(STEPS)("a failed order whose %s was not compensated", (step) => {
    const ledger = new Ledger();
    perform(ledger, "a", 1, [step]);
    const expected = [{ orderId: "a", attempt: 1, reason: `${step}: done and not compensated, though the order is not placed` }];
    expect(balance(ledger.snapshot(), [failed("a")])).toEqual(expected);
    expect(balance(ledger.snapshot(), [])).toEqual(expected);
  });

  test("what an earlier attempt of a placed order left", () => {
    const ledger = new Ledger();
    perform(ledger, "a", 1, ["payment"]);
    perform(ledger, "a", 2);
    expect(balance(ledger.snapshot(), [placed("a", 2)])).toEqual([
      { orderId: "a", attempt: 1, reason: "payment: done and not compensated, though the order is not placed" },
    ]);
  });

  test("an order placed twice", () => {
    const ledger = new Ledger();
    perform(ledger, "a", 1);
    perform(ledger, "a", 2);
    expect(reasons(ledger.snapshot(), [placed("a", 1), placed("a", 2)])).toContain("placed twice, attempt 1 was placed too");
  });

  test("another amount", () => {
    const ledger = new Ledger();
    perform(ledger, "a");
    expect(reasons(ledger.snapshot(), [{ ...placed("a"), amount: 6 }])).toEqual(
      STEPS.filter((step) => STEP_TABLE[step].perform.hasAmount).map((step) => `${step}: amount is 5, not 6`),
    );
  });

  test("a key used for something else", () => {
    const ledger = new Ledger();
    perform(ledger, "a");
    ledger.perform("payment", "a:1:payment", { order_id: "a", amount: 6 });
    expect(reasons(ledger.snapshot(), [placed("a")])).toEqual(["payment: its key was used for something else 1 times"]);
  });

  test("two keys for one call", () => {
    const ledger = new Ledger();
    perform(ledger, "é", 1);
    ledger.perform("payment", "%C3%A9:1:payment", body("é", "payment"));
    expect(reasons(ledger.snapshot(), [placed("é")])).toEqual(["payment: two keys for one call"]);
  });

  test.each<[string, (entry: LedgerEntry) => Partial<LedgerEntry>, string[]]>([
    ["two charges", () => ({ acted: [1, 9] }), ["payment: done 2 times"]],
    [
      "a charge after its tombstone",
      () => ({ acted: [9], tombstoneAt: 8 }),
      ["payment: done after it had been compensated", "payment: a compensation came, though the order is placed"],
    ],
    [
      "a compensation of a placed order",
      () => ({ tombstoneAt: 8, compensated: [8] }),
      ["payment: compensated, though the order is placed"],
    ],
  ])("%s", (_what, change, expected) => {
    expect(reasons(forged(change), [placed("a")])).toEqual(expected);
  });

  test("a refund of nothing", () => {
    const ledger = forged(() => ({ acted: [], compensated: [8], tombstoneAt: 8 }));
    expect(reasons({ ...ledger, entries: ledger.entries.slice(0, 1) }, [failed("a")])).toEqual(["payment: compensated though never done"]);
  });

  test("malformed requests, and a ledger that is not at rest", () => {
    const ledger = forged(() => ({}), { malformed: ["no idempotency-key"], pending: 2 });
    expect(reasons(ledger, [placed("a")])).toEqual(["malformed request: no idempotency-key", "2 things are yet to be done"]);
  });
});
