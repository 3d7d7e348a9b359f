import fc from "fast-check";
import { expect, test } from "vitest";
import type { Journal } from "../../src/journal/journal.ts";
import { COMPENSATION_STATES } from "../../src/orders/compensation-state.ts";
import { ORDER_STATUSES, type OrderStatus } from "../../src/orders/operator-journal.ts";
import type { AcceptResult } from "../../src/orders/order-journal.ts";
import { STEPS, type StepName } from "../../src/orders/steps.ts";
import { seedOf } from "../support/seed.ts";
import { DAY_MS, JournalFixture, NOW } from "./journal-fixture.ts";

// The rules are the same for every store: whatever is done to a journal in memory, in a file and on PostgreSQL, all say the same.

const RUNS = Number(process.env.STORES_RUNS ?? 8);
const SEED = seedOf("STORES_SEED");
/** The number of no attempt. */
const NONE = 999;
const CLOCKS = { "goes on": [1, 500, 2 * DAY_MS], jumps: [0, 500, 2 * DAY_MS, -3_600_000] };
const ORDERS = ["a", "b"];
const KEYS = [undefined, ["", "k1"], ["", "k2"], ["c", "k1"]] as const;

/** A call, and what a service remembers of its result. */
interface Call {
  readonly run: (journal: Journal, world: World, store: JournalFixture) => Promise<unknown>;
  readonly remember?: (world: World, value: never) => void;
  /** The order that it ends: a service does that once, and waits for it. */
  readonly ends?: string;
  /** On PostgreSQL a request whose key turns out to be known is decided after the others that came with it: one in a batch has a key. */
  readonly isLast?: boolean;
}

/** What a service would remember, the same for all journals as long as they say the same. */
interface World {
  nowMs: number;
  readonly running: Map<string, number>;
  readonly unanswered: Map<string, { readonly attempt: number; readonly ids: readonly number[]; readonly steps: readonly StepName[] }>;
}

const order = fc.constantFrom(...ORDERS);
const id = fc.integer({ min: 1, max: 12 });
const step = fc.constantFrom(...STEPS);
const OFTEN = fc.constantFrom(true, true, true, false);
const tried = (of: number, ofStep: StepName, nowMs: number, done: boolean) =>
  done ? { id: of, step: ofStep } : { id: of, step: ofStep, nextTryMs: nowMs + 400, lastAnswer: "HTTP 500" };

const writes: fc.Arbitrary<Call> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(order, fc.integer({ min: 1, max: 2 }), fc.constantFrom(...KEYS), fc.constantFrom("h1", "h2")).map(accept),
  },
  { weight: 6, arbitrary: fc.tuple(order, fc.boolean(), fc.subarray([...STEPS]), OFTEN, fc.boolean()).map(finish) },
  { weight: 6, arbitrary: fc.tuple(order, fc.boolean(), OFTEN, fc.boolean()).map(answer) },
);

// What looks for rows: on PostgreSQL it finds those that were there before its batch.
const looks: fc.Arbitrary<Call> = fc.oneof(
  // Nobody knows the number of a row that the same batch adds. On PostgreSQL it has none yet.
  fc
    .tuple(id, step, fc.boolean())
    .map(([of, ofStep, done]) => at((journal, nowMs) => journal.compensationTried(tried(of, ofStep, nowMs, done), nowMs))),
  id.map((of) => at((journal, nowMs) => journal.takeCompensation(of, nowMs, "an operator"))),
  fc
    .tuple(id, fc.constantFrom("paid", "paid by hand"))
    .map(([of, note]) => at((journal, nowMs) => journal.settleCompensation(of, note, nowMs, "an operator"))),
  id.map((seq) => at((journal, nowMs) => journal.eventDelivered(seq, nowMs))),
  id.map((seq) => at((journal, nowMs) => journal.eventFailed(seq, nowMs + 1_000))),
  id.map((seq) => at((journal, nowMs) => journal.giveUpEvent(seq, "HTTP 400", nowMs))),
  id.map((seq) => at((journal, nowMs) => journal.redeliver(seq, nowMs, "an operator"))),
  fc
    .tuple(step, fc.constantFrom("first" as const, "again" as const), fc.integer({ min: 1, max: 3 }), fc.boolean())
    .map(([ofStep, kind, limit, leastTried]) =>
      at((journal, nowMs) => journal.takeCompensations(ofStep, kind, { nowMs, limit, leastTried, underWay: [] })),
    ),
  fc.constant<Call>({
    run: (_journal, { nowMs }, store) => store.closeInterrupted(10, nowMs),
    remember: ({ running, unanswered }) => {
      running.clear();
      unanswered.clear();
    },
  }),
  fc
    .tuple(fc.integer({ min: ORDERS.length, max: 3 }), fc.boolean(), fc.array(id, { maxLength: 2 }))
    .map(([limit, leastTried, underWay]) => at((journal, nowMs) => journal.takeEvents({ nowMs, limit, leastTried, underWay }))),
  fc.constantFrom<Call>(
    at((journal, nowMs) => journal.giveUpExpired(nowMs, "down", nowMs, 2)),
    at((journal, nowMs) => journal.expireKeys(nowMs, 2)),
    at((journal, nowMs) => journal.retire(nowMs - DAY_MS, [], 3)),
    at((journal, nowMs) => journal.expireDeadLetters(nowMs - DAY_MS, 2)),
  ),
);

const batch = fc.oneof(
  fc
    .uniqueArray(writes, { minLength: 1, maxLength: 3, selector: ({ ends, isLast }) => ends ?? (isLast ? "with a key" : Symbol()) })
    .map((calls) => calls.toSorted((a, b) => Number(a.isLast ?? false) - Number(b.isLast ?? false))),
  fc.tuple(looks),
);

function at(run: (journal: Journal, nowMs: number) => Promise<unknown>): Call {
  return { run: (journal, { nowMs }) => run(journal, nowMs) };
}

function accept([orderId, amount, key, bodyHash]: [string, number, (typeof KEYS)[number], string]): Call {
  return {
    isLast: key !== undefined,
    run: (journal, { nowMs }) =>
      journal.accept({
        orderId,
        amount,
        nowMs,
        ...(key !== undefined && { key: { client: key[0], key: key[1], bodyHash, expiresMs: nowMs + DAY_MS } }),
      }),
    remember: ({ running }, accepted: AcceptResult) => {
      if (accepted.type === "accepted") running.set(orderId, accepted.attempt);
    },
  };
}

function finish([orderId, answered, steps, trying, fails]: [string, boolean, StepName[], boolean, boolean]): Call {
  return {
    ends: orderId,
    run: (journal, { running, nowMs }) => {
      const attempt = running.get(orderId) ?? NONE;
      const compensations = steps.map((name) => ({ step: name, trying }));
      const result = fails || steps.length > 0 ? { error: "internal" as const, json: '{"steps":[]}' } : { json: '{"steps":[]}' };
      return journal.finish({ orderId, attempt, answer: result, answered: answered && steps.length === 0, compensations, nowMs });
    },
    remember: ({ running, unanswered }, ids: readonly number[]) => {
      if (steps.length > 0) unanswered.set(orderId, { attempt: running.get(orderId) ?? NONE, ids, steps });
      running.delete(orderId);
    },
  };
}

function answer([orderId, answered, done, all]: [string, boolean, boolean, boolean]): Call {
  return {
    ends: orderId,
    run: (journal, { unanswered, nowMs }) => {
      const { attempt = NONE, ids = [], steps = [] } = unanswered.get(orderId) ?? {};
      const results = ids.slice(0, all ? ids.length : 1).map((of, index) => tried(of, steps[index] as StepName, nowMs, done));
      return journal.answer({ orderId, attempt, json: '{"steps":[],"answered":true}', answered, tried: results, nowMs });
    },
    remember: ({ unanswered }) => unanswered.delete(orderId),
  };
}

/** The names of events are random. */
function withoutNames(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (name, inner) => (name === "id" && String(inner).startsWith("evt_") ? "evt" : inner)));
}

/** On PostgreSQL an event that waited for another one of its order has the time at which it was written. */
function inOneOrder(outcomes: unknown): unknown {
  const bySeq = (name: string, value: unknown) =>
    name === "items" ? (value as { seq: number }[]).toSorted((a, b) => a.seq - b.seq || 0) : value;
  return withoutNames(JSON.parse(JSON.stringify(outcomes, bySeq)));
}

async function outcomeOf(work: Promise<unknown>): Promise<{ readonly value?: unknown; readonly error?: string }> {
  return work.then(
    (value) => ({ value: value ?? null }),
    (error: Error) => ({ error: error.message }),
  );
}

async function ordersOf(journal: Journal, status: OrderStatus | undefined, sorted: boolean): Promise<unknown> {
  const { items } = await journal.orders(status === undefined ? {} : { status }, undefined, 50);
  return sorted ? items.toSorted((a, b) => (a.orderId < b.orderId ? -1 : 1)) : items;
}

function withoutTimes(name: string, value: unknown): unknown {
  return name === "sinceMs" ? undefined : value;
}

/** All that can be read. */
async function everything(journal: Journal, sorted: boolean): Promise<unknown> {
  const lists = await Promise.all([
    ...ORDERS.map((orderId) => journal.find(orderId)),
    ...[undefined, ...ORDER_STATUSES].map((status) => ordersOf(journal, status, sorted)),
    ...COMPENSATION_STATES.map((state) => journal.compensations(state, undefined, 50)),
    journal.deadLetters(undefined, 50),
    journal
      .backlog()
      .then(({ bytes: _bytes, freeBytes: _freeBytes, ...waiting }) =>
        sorted ? JSON.parse(JSON.stringify(waiting, withoutTimes)) : waiting,
      ),
  ]);
  return withoutNames(lists.map((list) => list ?? null));
}

for (const [clock, stepsMs] of Object.entries(CLOCKS)) {
  test(`journals in memory, in a file and on PostgreSQL say the same, whatever is done to them, on a clock that ${clock}`, async () => {
    const seen = { refused: 0, accepted: 0, done: 0 };
    const script = fc.array(fc.tuple(batch, fc.constantFrom(...stepsMs)), { minLength: 5, maxLength: 40 });
    const check = fc.asyncProperty(script, async (steps) => {
      await using memory = await JournalFixture.open("memory", { events: true });
      await using file = await JournalFixture.open("file", { events: true });
      await using postgres = await JournalFixture.open("postgres", { events: true });
      const stores = [memory, file, postgres];
      const world: World = { nowMs: NOW, running: new Map(), unanswered: new Map() };
      for (const [together, stepMs] of steps) {
        world.nowMs += stepMs;
        // In one batch.
        const [expected = [], ...others] = await Promise.all(
          stores.map((store) => Promise.all(together.map(({ run }) => outcomeOf(run(store.journal, world, store))))),
        );
        const [ofFile, ofPostgres] = others;
        expect(withoutNames(ofFile)).toEqual(withoutNames(expected));
        expect(inOneOrder(ofPostgres)).toEqual(inOneOrder(expected));
        for (const [index, { value, error }] of expected.entries()) {
          if (error === undefined) together[index]?.remember?.(world, value as never);
          else seen.refused++;
        }
      }
      // PostgreSQL lists orders by their acceptance. On the others a step of the clock mixes up what ended.
      const isSorted = stepsMs === CLOCKS.jumps;
      const inOrder = await Promise.all([everything(memory.journal, isSorted), everything(file.journal, isSorted)]);
      expect(inOrder[1]).toEqual(inOrder[0]);
      expect(await everything(postgres.journal, true)).toEqual(await everything(memory.journal, true));
      seen.accepted += count(inOrder[0], '"status":"running"');
      seen.done += count(inOrder[0], '"status":"done"');
    });
    console.log(`STORES_SEED=${SEED}`);
    // Until it has seen each.
    let seed = SEED;
    do await fc.assert(check, { numRuns: RUNS, seed: seed++, endOnFailure: true });
    while (Math.min(...Object.values(seen)) === 0);
  });
}

function count(value: unknown, text: string): number {
  return JSON.stringify(value).split(text).length - 1;
}
