import { expect, test } from "vitest";
import { balance } from "../../load/stand-in/balance.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder, type Received } from "../support/http-client.ts";
import { startWithProviders } from "./providers.ts";

const FOR_EVER_MS = 300_000;
const ORDERS = 160;
const AT_A_TIME = 40;
// Calls of one provider's compensations at one time: first tries and retries.
const BULKHEAD = 64 + 32;

test.each([
  ["none of its calls ever ends", 120_000],
  ["its calls time out, so it counts as down", 300],
])(
  "refunds do not starve behind a vendor that hangs: %s",
  async (_, compensationTimeoutMs) => {
    let hangs = true;
    await using fixture = await startWithProviders(
      { ORDER_TIMEOUT_MS: "1000", COMPENSATION_TIMEOUT_MS: String(compensationTimeoutMs), COURIER_CAPACITY: "128" },
      { faultModeOf: ({ step }) => (hangs && step === "vendor" ? { type: "answer", slowMs: FOR_EVER_MS } : undefined) },
      // Otherwise the vendor's circuit would open, and hardly an order would leave anything to compensate.
      { providerHealth: { opensAfter: Number.POSITIVE_INFINITY } },
    );
    const { compensator, journal, threads } = fixture.running.service;
    const counts = () => fixture.standIn.ledger.snapshot().counts;
    let peak = 0;

    const answers: Received[] = [];
    let next = 0;
    const client = async () => {
      while (next < ORDERS) {
        answers.push(await postOrder(fixture.port, { order_id: `o-${next++}`, amount: 5 }));
        peak = Math.max(peak, compensator.inFlight);
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, client));
    const atTheEnd = counts();

    // While it lasted, refunds kept up with the orders that failed: most were done before the answer, and at most the last ones are
    // missing.
    expect(answers.map(({ status }) => status)).toEqual(Array(ORDERS).fill(504));
    const paid = answers.map(({ json }) => json.steps[0]).filter(({ status }) => status === "ok");
    expect(paid.length).toBeGreaterThan(ORDERS / 2);
    expect(paid.filter(({ compensation }) => compensation === "done").length).toBeGreaterThan(0.5 * paid.length);
    expect(atTheEnd.refunds).toBeGreaterThan(0.75 * atTheEnd.charges);
    expect(atTheEnd.cancellations).toBe(0);
    await eventually("the rest of the refunds", () => counts().refunds === counts().charges && counts().releases === counts().assignments);

    // The vendor's wait in the journal and not in memory.
    await eventually("all that wait to be rows", async () => {
      const { compensations } = await journal.backlog();
      return compensations.vendor.count === ORDERS && compensations.payment.count === 0 && compensations.courier.count === 0;
    });
    expect(peak).toBeGreaterThan(0);
    expect(peak).toBeLessThanOrEqual(3 * BULKHEAD);
    expect(compensator.inFlight).toBeLessThanOrEqual(BULKHEAD);
    expect(threads.counters().groups).toBe(compensator.inFlight);

    // It is back: the connections of those who wait for an answer are reset.
    hangs = false;
    await fixture.standIn.down(50, "reset");
    await eventually(
      "all of it to be compensated",
      async () => (await journal.backlog()).compensations.vendor.count,
      (count) => count === 0,
      25_000,
    );
    await eventually("the last call to end", () => compensator.inFlight === 0);
    expect(threads.counters().groups).toBe(0);
    expect(balance(fixture.standIn.ledger.snapshot(), [])).toEqual([]);
  },
  60_000,
);
