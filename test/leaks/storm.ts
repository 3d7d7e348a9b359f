import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import type { AnswerBody } from "../../src/orders/answer.ts";
import type { OrderService, Placement } from "../../src/orders/order-service.ts";
import { Refused } from "../../src/orders/refused.ts";
import type { Order } from "../../src/orders/step.ts";
import { perStep, STEP_TABLE, STEPS, type StepName } from "../../src/orders/steps.ts";
import type { Service } from "../../src/service.ts";
import { seedOf } from "../support/seed.ts";
import { runUntilSeen, type Sight } from "../support/until-seen.ts";

export const STORM_SEED = seedOf("STORM_SEED");
const LONG = 60_000;
const STORM_LIMIT_MS = 60_000;

export const FAILURES = perStep((step) => STEP_TABLE[step].simulated.failsWith);

interface Planned {
  readonly order: Order;
  /** The client leaves so many milliseconds after it asked. */
  readonly leaveMs?: number;
}

/** One order of the storm. Short ones, failing ones, ones that only the deadline ends, abandoned ones, computing ones. */
function planned(n: number, random: () => number): Planned {
  const one = (): StepName => STEPS[Math.floor(random() * STEPS.length)] as StepName;
  const all = (ms: () => number) => perStep(() => ms());
  const short = () => Math.floor(random() * 6);
  const order = (simulation: NonNullable<Order["simulation"]>): Order => ({ orderId: `s-${n}`, amount: 1, simulation });
  const dice = random();
  if (dice < 0.3) return { order: order({ delayMs: all(short) }) };
  if (dice < 0.6) {
    const failing = one();
    const slow = { ...all(() => LONG), [failing]: short() };
    return { order: order({ delayMs: slow, failStep: failing }) };
  }
  if (dice < 0.65) return { order: order({ delayMs: { ...all(short), [one()]: LONG } }) };
  if (dice < 0.75) return { order: order({ delayMs: all(short), cpuMs: { [one()]: 1 + Math.floor(random() * 3) } }) };
  const leaveMs = Math.floor(random() * 8);
  if (dice < 0.95) return { order: order({ delayMs: all(() => Math.floor(random() * 10)) }), leaveMs };
  return { order: order({ delayMs: all(short), cpuMs: { [one()]: LONG } }), leaveMs };
}

interface Storm {
  readonly orders: number;
  /** The kinds of answers that have to be seen, each once at least. */
  readonly kinds: readonly string[];
  readonly more?: readonly Sight[];
  readonly onMoment: (n: number) => void;
}

/** As a client does that comes again after `overloaded`. */
async function placeOnceAdmitted(orderService: Pick<OrderService, "place">, order: Order, signal: AbortSignal): Promise<Placement> {
  for (;;) {
    try {
      return await orderService.place({ order, signal });
    } catch (error) {
      if (!(error instanceof Refused) || error.kind !== "overloaded") throw error;
      await pause(1);
    }
  }
}

/** Keeps 64 orders in flight until so many have been answered and everything has been seen. Gives the kinds of answers. */
export async function storm({ orderService }: Service, { orders, kinds, more = [], onMoment }: Storm): Promise<Set<string>> {
  const random = randomFrom(STORM_SEED);
  const seen = new Set<string>();
  let answered = 0;
  const sights = [
    { what: "orders", atLeast: orders, seen: () => answered },
    ...kinds.map((kind) => ({ what: kind, atLeast: 1, seen: () => Number(seen.has(kind)) })),
    ...more,
  ];
  const placed = await runUntilSeen({ clients: 64, sights, limitMs: STORM_LIMIT_MS }, async (n) => {
    const { order, leaveMs } = planned(n, random);
    const client = new AbortController();
    const placement = await placeOnceAdmitted(orderService, order, client.signal);
    onMoment(n);
    const leaving =
      leaveMs === undefined
        ? undefined
        : setTimeout(() => {
            client.abort();
            onMoment(n);
          }, leaveMs);
    const answer: AnswerBody = JSON.parse((await placement.answer).json);
    clearTimeout(leaving);
    answered++;
    const kind = answer.error?.kind ?? answer.status;
    seen.add(kind);
    expect(answer.steps).toHaveLength(STEPS.length);
    const failStep = order.simulation?.failStep;
    if (Object.values<string>(FAILURES).includes(kind)) expect(failStep && FAILURES[failStep]).toBe(kind);
  });
  expect(answered).toBe(placed);
  return seen;
}
