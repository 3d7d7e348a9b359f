import fc from "fast-check";
import type { Journal } from "../../src/journal/journal.ts";
import type { Cursor } from "../../src/orders/operator-journal.ts";
import type { AcceptResult } from "../../src/orders/order-journal.ts";
import { STEPS, type StepName } from "../../src/orders/steps.ts";
import { DAY_MS, type JournalFixture } from "./journal-fixture.ts";

/** Long ago: a list of orders asks the machine's clock when its first page was read. */
export const START = Date.UTC(2024, 0, 1);
/** The number of no attempt. */
const NONE = 999;
// In the order of their bytes, which is not that of their UTF-16 units.
export const ORDERS = ["a", "\uff5e", "\u{1f600}"];
/** Of rows that there may be. */
export const IDS = Array.from({ length: 12 }, (_, index) => index + 1);
export const KEYS = [undefined, ["", "k1"], ["", "k2"], ["c", "k1"]] as const;

/** A call, and what a service remembers of its result. */
export interface Call {
  readonly run: (journal: Journal, world: World, store: JournalFixture) => Promise<unknown>;
  readonly remember?: (world: World, value: never) => void;
  /** The order that it ends: a service does that once, and waits for it. */
  readonly ends?: string;
  /** On PostgreSQL a request with a key may be decided after the others that came with it. */
  readonly key?: string;
}

/** What a service would remember, the same for all journals as long as they say the same. */
export interface World {
  nowMs: number;
  readonly running: Map<string, number>;
  readonly unanswered: Map<string, { readonly attempt: number; readonly ids: readonly number[]; readonly steps: readonly StepName[] }>;
}

const order = fc.constantFrom(...ORDERS);
// Which of several goes first that are of one moment is a store's own business.
const ALL = 20;
const id = fc.constantFrom(...IDS);
const step = fc.constantFrom(...STEPS);
const OFTEN = fc.constantFrom(true, true, true, false);
const tried = (of: number, ofStep: StepName, nowMs: number, done: boolean) =>
  done ? { id: of, step: ofStep } : { id: of, step: ofStep, nextTryMs: nowMs + 400, lastAnswer: "HTTP 500" };
// The second: a clock ran ahead.
const pauseMs = fc.constantFrom(1_000, 1_000, 30 * DAY_MS);

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
  fc.tuple(id, pauseMs).map(([seq, ms]) => at((journal, nowMs) => journal.eventFailed(seq, nowMs + ms))),
  fc
    .tuple(id, step, pauseMs)
    .map(([of, ofStep, ms]) =>
      at((journal, nowMs) => journal.compensationTried({ id: of, step: ofStep, nextTryMs: nowMs + ms, lastAnswer: "HTTP 503" }, nowMs)),
    ),
  fc
    .constantFrom("backup" as const, "resume" as const)
    .map((action) => at((journal, nowMs) => journal.noteAction({ atMs: nowMs, actor: "an operator", action }))),
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
    at((journal, nowMs) => journal.expireKeys(nowMs, ALL)),
    at((journal, nowMs) => retireAll(journal, nowMs - DAY_MS)),
    at((journal, nowMs) => journal.expireActions(nowMs - DAY_MS, 1)),
    at((journal, nowMs) => journal.confirmRestore(undefined, nowMs, 2, "an operator")),
    at((journal, nowMs) => journal.expireDeadLetters(nowMs - DAY_MS, ALL)),
  ),
);

/** What arrives together. */
export const batch: fc.Arbitrary<readonly Call[]> = fc.oneof(
  fc
    .uniqueArray(writes, { minLength: 1, maxLength: 3, selector: ({ ends }) => ends ?? Symbol() })
    .map((calls) => calls.toSorted((a, b) => Number(a.key !== undefined) - Number(b.key !== undefined))),
  fc.tuple(looks),
);

function at(run: (journal: Journal, nowMs: number) => Promise<unknown>): Call {
  return { run: (journal, { nowMs }) => run(journal, nowMs) };
}

/** One by one. Returns how many were looked at. */
async function retireAll(journal: Journal, endedBeforeMs: number): Promise<number> {
  let looks = 0;
  for (let after: Cursor | undefined = []; after !== undefined; looks++) after = await journal.retire(endedBeforeMs, after, 1);
  return looks;
}

export function accept([orderId, amount, key, bodyHash]: [string, number, (typeof KEYS)[number], string]): Call {
  return {
    ...(key !== undefined && { key: key.join(" ") }),
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
