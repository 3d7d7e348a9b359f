import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { type AttemptEnding, balance } from "../../load/stand-in/balance.ts";
import { randomFrom } from "../../load/stand-in/random.ts";
import { spawnStandIn } from "../../load/stand-in/spawn.ts";
import { CancelScope } from "../../src/concurrency/cancel-scope.ts";
import { STEPS, type StepInput, type StepName, type StepOutcome } from "../../src/orders/step.ts";
import type { ThreadRuntime } from "../../src/threads/thread-runtime.ts";
import { NOTHING_LEFT, runStep, startThreads } from "./threads.ts";

const SEED = process.env.SEED ?? String(Date.now());
const ORDERS = 1500;
const AT_ONE_TIME = 100;

const RATES = {
  refuse: 0.03,
  failBefore: 0.03,
  failAfter: 0.03,
  hangUpBefore: 0.03,
  hangUpAfter: 0.03,
  hangUpHalfway: 0.03,
  late: 0.05,
  endless: 0.01,
  down: 0.001,
  slow: 0.3,
  slowMs: [1, 60],
  lateMs: [20, 200],
  downMs: [20, 100],
} as const;

interface Ended {
  readonly order: StepInput;
  readonly outcomes: readonly StepOutcome[];
}

/** An order as the pipeline runs it: three steps, the first failure cancels the others, and so does a client now and then. */
async function place(runtime: ThreadRuntime, order: StepInput, random: () => number): Promise<Ended> {
  const scope = new CancelScope();
  const stop = random() < 0.2 ? scope.cancelAfter(random() * 60) : scope.cancelAfter(2000);
  const outcomes = await Promise.all(
    STEPS.map(async (step) => {
      const outcome = await runStep(runtime, step, "do", order, scope);
      if (outcome.status !== "ok") scope.cancel("sibling_failed");
      return outcome;
    }),
  );
  stop();
  return { order, outcomes };
}

function isPlaced({ outcomes }: Ended): boolean {
  return outcomes.every(({ status }) => status === "ok");
}

function stepsToUndo(ended: Ended): StepName[] {
  if (isPlaced(ended)) return [];
  return STEPS.filter((_, index) => {
    const outcome = ended.outcomes[index] as StepOutcome;
    return outcome.status === "ok" || outcome.effect === "unknown";
  });
}

async function undoUntilDone(runtime: ThreadRuntime, step: StepName, order: StepInput): Promise<void> {
  for (;;) {
    const scope = new CancelScope();
    const stop = scope.cancelAfter(1000);
    const outcome = await runStep(runtime, step, "undo", order, scope);
    stop();
    if (outcome.status === "ok") return;
    await sleep(5);
  }
}

test(`what is said to have had no effect has had none, and undoing the rest balances the ledger (SEED=${SEED})`, {
  timeout: 120_000,
}, async () => {
  const standIn = await spawnStandIn({ seed: SEED, rates: RATES });
  const runtime = await startThreads({ payment: standIn.url, vendor: standIn.url, courier: standIn.url });
  const random = randomFrom(SEED);
  const ended: Ended[] = [];
  const undoLater: Ended[] = [];
  let next = 0;
  let killed = 0;
  const client = async () => {
    while (next < ORDERS) {
      const order = { orderId: `chaos ${next++}`, amount: 1 + Math.floor(random() * 10_000), attempt: 1 };
      if (next % 300 === 0 && runtime.killThread() !== undefined) killed++;
      const one = await place(runtime, order, random);
      ended.push(one);
      // Half of them at once, so that an undo overtakes a call that is still on its way.
      if (next % 2 === 0) for (const step of stepsToUndo(one)) await undoUntilDone(runtime, step, order);
      else undoLater.push(one);
    }
  };
  await Promise.all(Array.from({ length: AT_ONE_TIME }, client));
  const endings: AttemptEnding[] = ended.map((one) => ({ ...one.order, ok: isPlaced(one) }));

  // The rule must be able to fail: with nothing undone yet there is much to find.
  expect(balance(await standIn.quiet(), endings).length).toBeGreaterThan(ORDERS / 20);

  await Promise.all(
    undoLater.map(async (one) => {
      for (const step of stepsToUndo(one)) await undoUntilDone(runtime, step, one.order);
    }),
  );

  const ledger = await standIn.quiet();
  expect(balance(ledger, endings)).toEqual([]);
  const placed = endings.filter(({ ok }) => ok).length;
  const kinds = new Set(
    ended.flatMap(({ outcomes }) => outcomes.map((outcome) => (outcome.status === "failed" ? outcome.kind : outcome.status))),
  );
  for (const kind of [
    "ok",
    "canceled",
    "lost",
    "payment_declined",
    "payment_unavailable",
    "vendor_unavailable",
    "no_courier",
    "internal",
  ]) {
    expect(kinds, kind).toContain(kind);
  }
  expect(placed).toBeGreaterThan(ORDERS / 10);
  expect(ledger.counts.refunds).toBeGreaterThan(0);
  expect(ledger.counts.tooLate).toBeGreaterThan(0);
  expect(killed).toBeGreaterThan(0);
  expect(runtime.books()).toEqual(NOTHING_LEFT);
  expect(runtime.totals()).toMatchObject({ running: 0 });
  console.info(
    `SEED=${SEED} orders=${ORDERS} placed=${placed} undone=${ended.flatMap(stepsToUndo).length} threads killed=${killed}`,
    ledger.counts,
  );
  await runtime.close();
  await standIn.close();
});
