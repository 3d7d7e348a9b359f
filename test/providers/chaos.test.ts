import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { type AttemptEnding, balance } from "../../load/stand-in/balance.ts";
import type { FaultRateSettings } from "../../load/stand-in/fault-rates.ts";
import { randomFrom } from "../../load/stand-in/random.ts";
import { spawnStandIn } from "../../load/stand-in/spawn.ts";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import type { AttemptInput, StepOutcome } from "../../src/orders/step.ts";
import { perStep, STEPS, type StepName } from "../../src/orders/steps.ts";
import { CancelScope, type Threads } from "../../src/threads/index.ts";
import { measurePace } from "../support/pace.ts";
import { runUntilSeen } from "../support/until-seen.ts";
import { NOTHING_LEFT, runStep, startThreads } from "./threads.ts";

const SEED = process.env.SEED ?? String(Date.now());
const ORDERS = 300;
// More than a compensation ever takes that its provider answers.
const COMPENSATION_TIMEOUT_MS = 5000;
const LIMIT_MS = 300_000;
// Every kind of outcome that a step can have.
const KINDS = ["ok", "canceled", "lost", "payment_declined", "payment_unavailable", "vendor_unavailable", "no_courier", "internal"];

/** How late and how slow are shares of a quiet order's time, so that calls come after their compensation on a slow machine too. */
function rates(orderMs: number): FaultRateSettings {
  const times = (least: number, most: number) => [Math.ceil(orderMs * least), Math.ceil(orderMs * most)] as const;
  return {
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
    slowMs: times(0, 1),
    lateMs: times(0.3, 3),
    downMs: [20, 100],
  };
}

interface Ended {
  readonly order: AttemptInput;
  readonly outcomes: readonly StepOutcome[];
}

/** An order as the pipeline runs it: three steps, the first failure cancels the others, and so does a client now and then. */
async function place(threads: Threads, order: AttemptInput, deadlineMs: number): Promise<Ended> {
  const scope = new CancelScope<CancelCause>();
  const stop = scope.cancelAfter(deadlineMs);
  const outcomes = await Promise.all(
    STEPS.map(async (step) => {
      const outcome = await runStep(threads, step, "perform", order, scope);
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

function stepsToCompensate(ended: Ended): StepName[] {
  if (isPlaced(ended)) return [];
  return STEPS.filter((_, index) => {
    const outcome = ended.outcomes[index] as StepOutcome;
    return outcome.status === "ok" || outcome.effect === "unknown";
  });
}

async function compensateUntilDone(threads: Threads, step: StepName, order: AttemptInput): Promise<void> {
  for (;;) {
    const scope = new CancelScope<CancelCause>();
    const stop = scope.cancelAfter(COMPENSATION_TIMEOUT_MS);
    const outcome = await runStep(threads, step, "compensate", order, scope);
    stop();
    if (outcome.status === "ok") return;
    await sleep(5);
  }
}

test(`what is said to have had no effect has had none, and compensating the rest balances the ledger (SEED=${SEED})`, {
  timeout: 2 * LIMIT_MS,
}, async () => {
  const standIn = await spawnStandIn({ seed: SEED });
  const threads = await startThreads(perStep(() => standIn.url));
  const random = randomFrom(SEED);
  const ended: Ended[] = [];
  const compensateLater: Ended[] = [];
  const kinds = new Set<string>();
  let quiet = 0;
  let killed = 0;
  let placed = 0;

  const { clients, orderMs } = await measurePace(100, async () => {
    const one = await place(threads, { orderId: `quiet ${quiet++}`, amount: 1, attempt: 1 }, LIMIT_MS);
    expect(isPlaced(one)).toBe(true);
    ended.push(one);
  });
  await standIn.setFaultRates(rates(orderMs));

  const one = async (n: number) => {
    const order = { orderId: `chaos ${n}`, amount: 1 + Math.floor(random() * 10_000), attempt: 1 };
    if (n % 100 === 99 && threads.killThread() !== undefined) killed++;
    // A client hangs up now and then.
    const one = await place(threads, order, random() < 0.2 ? random() * orderMs : 20 * orderMs);
    ended.push(one);
    if (isPlaced(one)) placed++;
    for (const outcome of one.outcomes) kinds.add(outcome.status === "failed" ? outcome.kind : outcome.status);
    // Half of them at once, so that a compensation overtakes a call that is still on its way.
    if (n % 2 === 0) for (const step of stepsToCompensate(one)) await compensateUntilDone(threads, step, order);
    else compensateLater.push(one);
  };
  const sights = [
    { what: "orders", atLeast: ORDERS, seen: () => ended.length - quiet },
    { what: "placed", atLeast: ORDERS / 10 + 1, seen: () => placed },
    { what: "killed threads", atLeast: 1, seen: () => killed },
    ...KINDS.map((kind) => ({ what: kind, atLeast: 1, seen: () => Number(kinds.has(kind)) })),
    { what: "refunds", atLeast: 1, seen: async () => (await standIn.ledger()).counts.refunds },
    { what: "calls after their compensation", atLeast: 1, seen: async () => (await standIn.ledger()).counts.tooLate },
  ];
  await runUntilSeen({ clients, sights, limitMs: LIMIT_MS }, one);
  const endings: AttemptEnding[] = ended.map((one) => ({ ...one.order, ok: isPlaced(one) }));

  // The rule must be able to fail: with nothing compensated yet there is much to find.
  expect(balance(await standIn.quiet(), endings).length).toBeGreaterThan(ORDERS / 20);

  // With bounded concurrency: all at once, a slow machine would meet no deadline.
  const left = compensateLater.values();
  const compensateRest = async () => {
    for (const one of left) for (const step of stepsToCompensate(one)) await compensateUntilDone(threads, step, one.order);
  };
  await Promise.all(Array.from({ length: clients }, compensateRest));

  const ledger = await standIn.quiet();
  expect(balance(ledger, endings)).toEqual([]);
  expect(threads.counters()).toEqual(NOTHING_LEFT);
  const { running, started, finished } = threads.statistics();
  expect(started).toBeGreaterThan(ORDERS);
  expect({ running, open: started - finished }).toEqual({ running: 0, open: 0 });
  console.info(
    `SEED=${SEED} clients=${clients} quiet order=${Math.round(orderMs)} ms orders=${ended.length} placed=${placed} killed=${killed}`,
    ledger.counts,
  );
  await threads.close();
  await standIn.close();
});
