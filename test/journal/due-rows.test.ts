import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { seedOf } from "../support/seed.ts";
import { dueAmong, LONGEST_PAUSE_MS, rankOf } from "./due-model.ts";
import { type Due, type DueStore, openDueStore } from "./due-store.ts";
import { dueAt, JournalFixture, NOW, pending, STORES } from "./journal-fixture.ts";

const SEED = seedOf("DUE_SEED");
const RUNS = 25;
const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;
// Around each at which the longest pause changes, and those from which on tries are not told apart.
const TRIES = [1, 2, 3, 8, 9, 10, 11, 15, 16, 17, 500];
const KINDS = { first: [0], again: TRIES, event: [0, ...TRIES] };

type Kind = keyof typeof KINDS;

const named = ({ items, ...next }: Due) => ({ names: items.map(({ orderId }) => orderId), ...next });
const tableOf = (kind: Kind) => (kind === "event" ? "events" : "compensations");
const longestPauseMs = (kind: Kind) => LONGEST_PAUSE_MS[kind === "event" ? "event" : "compensation"];

/** The name of a row is its order. */
function look(
  store: DueStore,
  kind: Kind,
  nowMs: number,
  limit: number,
  leastTried: boolean,
  except: readonly number[] = [],
): Promise<Due> {
  if (kind === "event") return store.take(["takeEvents", nowMs, limit, leastTried, except]);
  return store.take(["takeCompensations", "payment", kind, nowMs, limit, leastTried, except]);
}

/** Rows that were due some time ago, will be, or are dated about as far ahead as any may be, a millisecond more or less. */
function rowsOf(kind: Kind) {
  const row = fc.constantFrom(...KINDS[kind]).chain((tries) => {
    const most = longestPauseMs(kind)(tries);
    const times = [-HOUR_MS, -2, -1, 0, 1, 2, most - 1, most, most + 1, most + 2, 2 * HOUR_MS + 1, YEAR_MS];
    return fc.record({ tries: fc.constant(tries), nextTryMs: fc.constantFrom(...times).map((ms) => NOW + ms) });
  });
  return fc.oneof(
    { weight: 11, arbitrary: fc.array(row, { maxLength: 12 }) },
    // More than a page looks at, most of one moment.
    { weight: 1, arbitrary: fc.tuple(row, fc.array(row, { maxLength: 4 })).map(([one, more]) => [...Array(80).fill(one), ...more]) },
  );
}

const asked = fc.record({
  nowMs: fc.constantFrom(NOW - 1, NOW, NOW + 1),
  limit: fc.constantFrom(1, 2, 3, 7, 79, 100),
  leastTried: fc.boolean(),
});

describe.each(STORES)("due in %s", (storeKind) => {
  let store: DueStore;

  beforeAll(async () => {
    store = await openDueStore(storeKind);
  });

  afterEach(() => store.clear());
  afterAll(() => store.close());

  // Those due for the longest come first, for a probe those tried least. One dated further ahead than any pause after its tries was dated
  // by a clock that ran ahead: it is due, and waits behind none. With them comes the time of the next.
  test.each(Object.keys(KINDS) as Kind[])(
    `the rows that are due (%s), in their order, a page at a time, are those of the model (DUE_SEED=${SEED})`,
    async (kind) => {
      const property = fc.asyncProperty(rowsOf(kind), fc.array(asked, { minLength: 3, maxLength: 6 }), async (rows, looks) => {
        await store.clear();
        const model = rows.map((row, n) => ({ ...row, n }));
        for (const { n, nextTryMs, tries } of model) await store.add(tableOf(kind), `o${n}`, nextTryMs, tries);
        for (const { nowMs, limit, leastTried } of looks) {
          const { items, ...next } = dueAmong(model, { nowMs, limit, leastTried }, longestPauseMs(kind));
          const { names, ...found } = named(await look(store, kind, nowMs, limit, leastTried));
          // Which of equal rows PostgreSQL puts on a page that has no room for all is its own affair.
          const told = (n: number) => (storeKind === "postgres" ? rankOf(model[n]) : n);
          expect(names.map((name) => told(Number(name.slice(1))))).toEqual(items.map(({ n }) => told(n)));
          expect(new Set(names).size).toBe(names.length);
          if (names.length < limit) expect(found).toEqual(next);
        }
      });
      await fc.assert(property, { seed: SEED, numRuns: RUNS });
    },
  );

  test("events under way are left out, and take no other's place in the page", async () => {
    for (let n = 0; n < 6; n++) await store.add("events", `o${n}`, NOW - 10 + n, 1 + (n % 2));
    await store.add("events", "ahead", NOW + YEAR_MS, 1);
    const { items } = await look(store, "event", NOW, 100, false);
    const except = ["o0", "o3", "ahead"].map((name) => items.find(({ orderId }) => orderId === name)?.seq ?? 0);
    const names = async (limit: number, leastTried: boolean) => named(await look(store, "event", NOW, limit, leastTried, except)).names;
    expect(await names(100, false)).toEqual(["o1", "o2", "o4", "o5"]);
    expect(await names(3, false)).toEqual(["o1", "o2", "o4"]);
    expect(await names(2, true)).toEqual(["o2", "o4"]);
  });

  test("what was taken nobody else gets", async () => {
    await using at = await JournalFixture.open(storeKind);
    await at.run("a", { error: "timeout", compensations: [pending("payment")] });
    expect((await at.journal.takeCompensations("payment", "first", dueAt(NOW))).items).toMatchObject([{ orderId: "a", tries: 0 }]);
    expect(await at.journal.takeCompensations("payment", "first", dueAt(NOW))).toEqual({ items: [] });
  });
});

test.each(["file", "postgres"] as const)(
  "in %s compensations of another step, never tried ones and those that are not pending are not among them",
  async (storeKind) => {
    const store = await openDueStore(storeKind);
    await store.add("compensations", "due", NOW, 1);
    await store.add("compensations", "first", NOW, 0);
    for (const [name, change] of [
      ["vendor", "step = 'vendor'"],
      ["trying", "state = 'trying', next_try_ms = NULL"],
      ["held", "state = 'held', next_try_ms = NULL"],
      ["done", "state = 'done', ended_ms = 1"],
      ["settled", "state = 'settled', ended_ms = 1, note = ''"],
    ] as const) {
      await store.add("compensations", name, NOW, 1);
      await store.exec(`UPDATE compensations SET ${change} WHERE attempt_id = (SELECT id FROM attempts WHERE order_id = '${name}')`);
    }
    expect(named(await look(store, "again", NOW, 100, false))).toEqual({ names: ["due"] });
    expect(named(await look(store, "first", NOW, 10, false))).toEqual({ names: ["first"] });
    await store.close();
  },
);
