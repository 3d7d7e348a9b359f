import { describe, expect, test } from "vitest";
import type { CallBody } from "../../load/stand-in/call.ts";
import { Ledger } from "../../load/stand-in/ledger.ts";

/** The counts of a ledger that has not done anything. */
const NOTHING_DONE = new Ledger().snapshot().counts;

describe("the ledger", () => {
  const body: CallBody = { order_id: "a", amount: 5 };
  const compensate: CallBody = { ...body, undoes: "a:1:payment" };

  test("acts once and says the same to the same key", () => {
    const ledger = new Ledger();
    for (let n = 0; n < 3; n++) expect(ledger.perform("payment", "a:1:payment", body)).toBe(200);
    // Even where it would have refused a new call.
    expect(ledger.perform("payment", "a:1:payment", body, 402)).toBe(200);
    expect(ledger.snapshot().counts).toMatchObject({ charges: 1, refunds: 0 });
    expect(ledger.find("payment", "a:1:payment")).toMatchObject({ calls: 4, acted: [1] });
  });

  test("says no again to the same key", () => {
    const ledger = new Ledger();
    expect(ledger.perform("payment", "a:1:payment", body, 402)).toBe(402);
    expect(ledger.perform("payment", "a:1:payment", body)).toBe(402);
    expect(ledger.snapshot().counts.charges).toBe(0);
  });

  test("compensates once, and refuses the call from then on", () => {
    const ledger = new Ledger();
    ledger.perform("payment", "a:1:payment", body);
    for (let n = 0; n < 3; n++) expect(ledger.compensate("payment", compensate)).toBe(200);
    expect(ledger.perform("payment", "a:1:payment", body)).toBe(409);
    expect(ledger.snapshot().counts).toMatchObject({ charges: 1, refunds: 1, tooLate: 1 });
  });

  test("keeps a tombstone for a call that has not come", () => {
    const ledger = new Ledger();
    expect(ledger.compensate("payment", compensate)).toBe(200);
    expect(ledger.perform("payment", "a:1:payment", body)).toBe(409);
    expect(ledger.compensate("payment", compensate)).toBe(200);
    expect(ledger.snapshot().counts).toMatchObject({ charges: 0, refunds: 0, tooLate: 1 });
  });

  test("keeps keys apart, and steps", () => {
    const ledger = new Ledger();
    ledger.perform("payment", "a:1:payment", body);
    ledger.perform("payment", "a:2:payment", body);
    ledger.perform("vendor", "a:1:vendor", body);
    ledger.perform("courier", "a:1:courier", { order_id: "a" });
    ledger.compensate("vendor", { order_id: "a", undoes: "a:1:vendor" });
    ledger.compensate("courier", { order_id: "a", undoes: "a:1:courier" });
    expect(ledger.snapshot().counts).toEqual({
      ...NOTHING_DONE,
      charges: 2,
      acceptances: 1,
      cancellations: 1,
      assignments: 1,
      releases: 1,
    });
  });

  test("takes a key for one content only", () => {
    const ledger = new Ledger();
    ledger.perform("payment", "a:1:payment", body);
    expect(ledger.perform("payment", "a:1:payment", { ...body, amount: 6 })).toBe(422);
    expect(ledger.perform("payment", "a:1:payment", { ...body, order_id: "b" })).toBe(422);
    expect(ledger.compensate("payment", { ...compensate, amount: 6 })).toBe(422);
    expect(ledger.find("payment", "a:1:payment")).toMatchObject({ mismatches: 3, acted: [1], compensated: [] });
  });
});
