import fc from "fast-check";
import type { ErrorKind } from "../../src/orders/error-kind.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { DAY_MS } from "./journal-fixture.ts";

export const ORDERS = 4;
export const KEY_LIFE_MS = 100;
const HOUR_MS = 3_600_000;

const which = fc.nat(1_000);
/** How a try ends: done, or put off by so much. */
const end = fc.record({ laterMs: fc.option(fc.nat(80), { nil: undefined, freq: 1 }), lastAnswer: fc.constantFrom("HTTP 500", "HTTP 503") });
const limit = fc.integer({ min: 1, max: 4 });

/** A request, by choices that mean something only together with what is there when its turn comes. */
const request = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant("accept" as const),
      order: fc.nat(ORDERS - 1),
      amount: fc.integer({ min: 1, max: 2 }),
      key: fc.option(fc.record({ client: fc.constantFrom("", "c"), name: fc.nat(3), body: fc.nat(1) }), { nil: undefined }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("finish" as const),
      which,
      error: fc.option(fc.constantFrom<ErrorKind>("timeout", "no_courier", "canceled", "timeout"), { nil: undefined, freq: 4 }),
      answered: fc.boolean(),
      compensations: fc.uniqueArray(fc.record({ step: fc.constantFrom(...STEPS), trying: fc.boolean() }), {
        selector: ({ step }) => step,
        maxLength: 3,
      }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("answer" as const),
      which,
      answered: fc.boolean(),
      ends: fc.array(fc.option(end, { nil: undefined, freq: 3 }), { minLength: 3, maxLength: 3 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("compensationTried" as const), which, end }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("takeCompensations" as const),
      step: fc.constantFrom(...STEPS),
      kind: fc.constantFrom("first" as const, "again" as const),
      limit,
      leastTried: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("takeCompensation" as const), which }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("settle" as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("takeEvents" as const), which, limit, leastTried: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("eventDelivered" as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("eventFailed" as const), which, laterMs: fc.nat(80) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("giveUpEvent" as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("giveUpExpired" as const), limit }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("redeliver" as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("expireDeadLetters" as const), limit }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("expireKeys" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("retire" as const) }) },
);

/** What happens in one turn of the event loop, and before it. A crash hits between the commits of whatever was asked for before. */
export const turn = fc.record({
  passMs: fc.oneof(
    { weight: 12, arbitrary: fc.constant(0) },
    { weight: 6, arbitrary: fc.nat(2 * KEY_LIFE_MS) },
    { weight: 2, arbitrary: fc.constant(DAY_MS) },
    // Somebody sets the clock back.
    { weight: 1, arbitrary: fc.constantFrom(-30_000, -HOUR_MS, -2 * HOUR_MS) },
  ),
  before: fc.oneof(
    { weight: 30, arbitrary: fc.constant("nothing" as const) },
    { weight: 1, arbitrary: fc.constant("restart" as const) },
    { weight: 2, arbitrary: fc.constant("crash" as const) },
  ),
  requests: fc.array(request, { minLength: 1, maxLength: 8 }),
});

export type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

export type EventRequest = Extract<
  Request,
  { type: `${string}Event${string}` | `event${string}` | "giveUpExpired" | "redeliver" | "expireDeadLetters" }
>;
