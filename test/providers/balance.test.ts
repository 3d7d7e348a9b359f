import { expect, test } from "vitest";
import { type AttemptEnding, balance } from "../../load/stand-in/balance.ts";
import type { CallBody } from "../../load/stand-in/call.ts";
import { Ledger, type LedgerEntry, type LedgerSnapshot } from "../../load/stand-in/ledger.ts";
import { STEP_TABLE, STEPS, type StepName } from "../../src/orders/steps.ts";

const key = (id: string, attempt: number, step: StepName) => `${id}:${attempt}:${step}`;
const body = (id: string, step: StepName): CallBody => (step === "courier" ? { order_id: id } : { order_id: id, amount: 5 });

/** What providers did, and took back. */
class Did extends Ledger {
  did(id: string, attempt = 1, steps: readonly StepName[] = STEPS): this {
    for (const step of steps) this.perform(step, key(id, attempt, step), body(id, step));
    return this;
  }

  undid(id: string, attempt = 1, steps: readonly StepName[] = STEPS): this {
    for (const step of steps) this.compensate(step, { ...body(id, step), undoes: key(id, attempt, step) });
    return this;
  }
}

const did = (...what: Parameters<Did["did"]>) => new Did().did(...what);
const placed = (orderId: string, attempt = 1): AttemptEnding => ({ orderId, attempt, ok: true, amount: 5 });
const failed = (orderId: string, attempt = 1): AttemptEnding => ({ orderId, attempt, ok: false });
const reasons = (ledger: LedgerSnapshot, endings: AttemptEnding[]) => balance(ledger, endings).map(({ reason }) => reason);

/** A ledger that no correct provider could have written. */
function forged(change: Partial<LedgerEntry>, more: Partial<LedgerSnapshot> = {}): LedgerSnapshot {
  const snapshot = did("a").snapshot();
  const entries = snapshot.entries.map((entry) => (entry.step === "payment" ? { ...entry, ...change } : entry));
  return { ...snapshot, ...more, entries };
}

test.each<[string, Ledger, AttemptEnding[]]>([
  ["failures that reached nobody", new Ledger(), [failed("a")]],
  ["a placed order, whatever was called twice", did("a").did("a"), [placed("a")]],
  [
    "a failed order that was compensated, tombstones without calls and calls refused after them",
    did("a", 1, ["payment"]).undid("a").did("a", 1, ["courier"]),
    [failed("a")],
  ],
  ["an order placed at its second attempt", did("a", 1, ["vendor", "payment"]).undid("a", 1).did("a", 2), [failed("a", 1), placed("a", 2)]],
  ["attempts nobody has heard of", did("b").undid("b"), []],
  ["ids with colons", did("a:2:payment", 3), [placed("a:2:payment", 3)]],
])("holds for %s", (_what, ledger, endings) => {
  expect(balance(ledger.snapshot(), endings)).toEqual([]);
});

test.each(STEPS)("finds a %s that was never done, compensated though placed, or left behind", (step) => {
  const others = STEPS.filter((other) => other !== step);
  const never = [{ orderId: "a", attempt: 1, reason: `${step}: never done` }];
  const without = did("a", 1, others);
  expect(balance(without.snapshot(), [placed("a")])).toEqual(never);
  without.perform(step, key("a", 1, step), body("a", step), 402);
  expect(balance(without.snapshot(), [placed("a")])).toEqual(never);
  expect(reasons(did("a").undid("a", 1, [step]).snapshot(), [placed("a")])).toEqual([`${step}: compensated, though the order is placed`]);
  const left = [{ orderId: "a", attempt: 1, reason: `${step}: done and not compensated, though the order is not placed` }];
  for (const endings of [[failed("a")], []]) expect(balance(did("a", 1, [step]).snapshot(), endings)).toEqual(left);
  // Of an earlier attempt too.
  expect(balance(did("a", 1, [step]).did("a", 2).snapshot(), [placed("a", 2)])).toEqual(left);
});

test("finds an order placed twice, another amount, a key of two calls and a call of two keys", () => {
  expect(reasons(did("a", 1).did("a", 2).snapshot(), [placed("a", 1), placed("a", 2)])).toContain("placed twice, attempt 1 was placed too");
  const withAmount = STEPS.filter((step) => STEP_TABLE[step].perform.hasAmount);
  expect(reasons(did("a").snapshot(), [{ ...placed("a"), amount: 6 }])).toEqual(withAmount.map((step) => `${step}: amount is 5, not 6`));
  const twice = did("a");
  twice.perform("payment", "a:1:payment", { order_id: "a", amount: 6 });
  expect(reasons(twice.snapshot(), [placed("a")])).toEqual(["payment: its key was used for something else 1 times"]);
  const twoKeys = did("é");
  twoKeys.perform("payment", "%C3%A9:1:payment", body("é", "payment"));
  expect(reasons(twoKeys.snapshot(), [placed("é")])).toEqual(["payment: two keys for one call"]);
});

test.each<[string, LedgerSnapshot, string[]]>([
  ["two charges", forged({ acted: [1, 9] }), ["payment: done 2 times"]],
  [
    "a charge after its tombstone",
    forged({ acted: [9], tombstoneAt: 8 }),
    ["payment: done after it had been compensated", "payment: a compensation came, though the order is placed"],
  ],
  ["a refund", forged({ tombstoneAt: 8, compensated: [8] }), ["payment: compensated, though the order is placed"]],
  [
    "malformed requests, and that it is not at rest",
    forged({}, { malformed: ["no idempotency-key"], pending: 2 }),
    ["malformed request: no idempotency-key", "2 things are yet to be done"],
  ],
])("finds %s in a ledger that no provider should write", (_what, ledger, expected) => {
  expect(reasons(ledger, [placed("a")])).toEqual(expected);
});

test("finds a refund of nothing", () => {
  const ledger = forged({ acted: [], compensated: [8], tombstoneAt: 8 });
  expect(reasons({ ...ledger, entries: ledger.entries.slice(0, 1) }, [failed("a")])).toEqual(["payment: compensated though never done"]);
});
