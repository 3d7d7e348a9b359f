import { expect, test } from "vitest";
import { balance } from "../../load/stand-in/balance.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder, type Received } from "../support/http-client.ts";
import { startWithProviders } from "./providers.ts";

const FOR_EVER_MS = 300_000;
// More than the bulkhead has room for.
const ORDERS = 120;
const AT_A_TIME = 40;
// Calls of one provider's compensations at one time: first tries and retries.
const BULKHEAD = 64 + 32;
const MAX_LOADS = 10;
const LIMIT_MS = 300_000;

interface Load {
  readonly answers: readonly Received[];
  readonly charges: number;
  readonly refunds: number;
}

/** Most refunds were done before the answer, and at most those of the last orders are missing. */
function isKeptUpWith({ answers, charges, refunds }: Load): boolean {
  const paid = answers.map(({ json }) => json.steps[0]).filter(({ status }) => status === "ok");
  const done = paid.filter(({ compensation }) => compensation === "done");
  return paid.length > ORDERS / 2 && done.length > paid.length / 2 && refunds > 0.75 * charges;
}

/** On a machine that is too slow for so many orders at one time some are refused at first. Nothing of them has run then. */
function place(port: number, orderId: string): Promise<Received> {
  return eventually(
    "an answer of a service that is not overloaded",
    () => postOrder(port, { order_id: orderId, amount: 5 }),
    ({ status, json }) => status !== 503 || json.error.kind !== "overloaded",
  );
}

test(
  "refunds do not starve behind a vendor of which no call ever ends",
  async () => {
    let hangs = true;
    // Orders of which a call came to the vendor. A machine that is too slow may meet a deadline before it sends the call: nothing is owed then.
    const sent = new Set<string>();
    await using fixture = await startWithProviders(
      { ORDER_TIMEOUT_MS: "1000", COMPENSATION_TIMEOUT_MS: "120000", COURIER_CAPACITY: "128" },
      {
        faultModeOf: ({ step, action, body }) => {
          if (!hangs || step !== "vendor") return undefined;
          if (action === "perform") sent.add(body.order_id);
          return { type: "answer", slowMs: FOR_EVER_MS };
        },
      },
      // Otherwise the vendor's circuit would open, and hardly an order would leave anything to compensate.
      { providerHealth: { opensAfter: Number.POSITIVE_INFINITY } },
    );
    const { compensator, journal, threads } = fixture.running.service;
    const counts = () => fixture.standIn.ledger.snapshot().counts;
    let peak = 0;

    let placed = 0;
    const load = async (): Promise<Load> => {
      const before = counts();
      const answers: Received[] = [];
      const end = placed + ORDERS;
      const client = async () => {
        while (placed < end) {
          answers.push(await place(fixture.port, `o-${placed++}`));
          peak = Math.max(peak, compensator.inFlight);
        }
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, client));
      const { charges, refunds } = counts();
      return { answers, charges: charges - before.charges, refunds: refunds - before.refunds };
    };
    // What starves does so under every load; what a busy machine holds up is not held up under every one.
    for (let last: Load | undefined, tries = 0; last === undefined || !isKeptUpWith(last); tries++) {
      if (tries === MAX_LOADS) throw new Error(`refunds never kept up: ${last?.refunds} of ${last?.charges}`);
      last = await load();
      expect(last.answers.map(({ status }) => status)).toEqual(Array(ORDERS).fill(504));
      expect(counts().cancellations).toBe(0);
      await eventually("the other refunds", () => counts().refunds === counts().charges && counts().releases === counts().assignments);
    }

    // The vendor's wait in the journal and not in memory.
    await eventually("all that wait to be rows", async () => {
      const { compensations } = await journal.backlog();
      const { vendor, payment, courier } = compensations;
      return vendor.count >= sent.size && vendor.count <= placed && payment.count === 0 && courier.count === 0;
    });
    expect(sent.size).toBeGreaterThan(ORDERS / 2);
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
    );
    await eventually("the last call to end", () => compensator.inFlight === 0);
    expect(threads.counters().groups).toBe(0);
    expect(balance(fixture.standIn.ledger.snapshot(), [])).toEqual([]);
  },
  LIMIT_MS,
);
