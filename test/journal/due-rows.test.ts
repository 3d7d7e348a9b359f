import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { LONGEST_FIRST_PAUSE_MS, MOST_TRIES } from "../../src/journal/rules/due.ts";
import { MAX_RETRY_AFTER_MS } from "../../src/outgoing/retry-after.ts";
import { COMPENSATION_BACKOFF, EVENT_BACKOFF, longestBackoffMs, MAX_HOLD_MS } from "../../src/retries/backoff.ts";
import { type Due, type DueStore, openDueStore } from "./due-store.ts";
import { DAY_MS, dueAt, JournalFixture, NOW, pending, STORES } from "./journal-fixture.ts";

const HOUR_MS = 3_600_000;
const KINDS = ["compensations", "events"] as const;

interface Asked {
  readonly nowMs?: number;
  readonly limit?: number;
  readonly leastTried?: boolean;
  readonly except?: readonly number[];
}

const named = ({ items, ...next }: Due) => ({ names: items.map(({ orderId }) => orderId), ...next });

/** The rows of one kind. The name of a row is its order. */
function tableOf(store: DueStore, kind: (typeof KINDS)[number]) {
  return {
    add: (name: string, nextTryMs: number, tries = 1) => store.add(kind, name, nextTryMs, tries),
    page: async ({ nowMs = NOW, limit = 100, leastTried = false, except = [] }: Asked = {}) =>
      named(
        await store.take(
          kind === "events"
            ? ["takeEvents", nowMs, limit, leastTried, except]
            : ["takeCompensations", "payment", "again", nowMs, limit, leastTried, except],
        ),
      ),
    /** The longest time, milliseconds, that a row waits which was tried so often. */
    longestPauseMs: (tries: number) =>
      kind === "events"
        ? Math.max(MAX_RETRY_AFTER_MS, longestBackoffMs(tries, EVENT_BACKOFF))
        : Math.max(MAX_HOLD_MS, longestBackoffMs(tries, COMPENSATION_BACKOFF)),
  };
}

describe.each(STORES.flatMap((store) => KINDS.map((kind) => [store, kind] as const)))("due in %s: %s", (storeKind, kind) => {
  let store: DueStore;
  let table: ReturnType<typeof tableOf>;

  beforeAll(async () => {
    store = await openDueStore(storeKind);
    table = tableOf(store, kind);
  });

  afterEach(() => store.clear());
  afterAll(() => store.close());

  test("come with those first that have been due for the longest, however often they were tried, and with the time of the next", async () => {
    await table.add("later", NOW + 20, 2);
    await table.add("next", NOW + 10, 30);
    await table.add("third", NOW, 1);
    await table.add("first", NOW - 30, 40);
    await table.add("second", NOW - 20, 3);
    expect(await table.page()).toEqual({ names: ["first", "second", "third"], nextDueMs: NOW + 10 });
    expect(await table.page({ limit: 2 })).toEqual({ names: ["first", "second"], nextDueMs: NOW + 10 });
    expect(await table.page({ nowMs: NOW - 1 })).toEqual({ names: ["first", "second"], nextDueMs: NOW });
    expect(await table.page({ nowMs: NOW + 10 })).toEqual({ names: ["first", "second", "third", "next"], nextDueMs: NOW + 20 });
    expect(await table.page({ nowMs: NOW + 20 })).toEqual({ names: ["first", "second", "third", "next", "later"] });
  });

  test("for a probe come with those first that were tried least, of one number of tries those due for the longest", async () => {
    await table.add("often", NOW - 50, 9);
    await table.add("twice", NOW - 40, 2);
    await table.add("once, late", NOW - 10, 1);
    await table.add("once", NOW - 20, 1);
    await table.add("once, not due", NOW + 10, 1);
    const names = ["once", "once, late", "twice", "often"];
    for (let limit = 1; limit <= 5; limit++) expect((await table.page({ leastTried: true, limit })).names).toEqual(names.slice(0, limit));
    expect((await table.page({ leastTried: true })).nextDueMs).toBe(NOW + 10);
  });

  test.each([1, 2, 8, MOST_TRIES, 500])(
    "dated further ahead than any pause after %i tries are due, and one within is not",
    async (tries) => {
      const pauseMs = table.longestPauseMs(tries);
      await table.add("beyond", NOW + pauseMs + 1, tries);
      await table.add("a year ahead", NOW + 365 * DAY_MS, tries);
      expect(await table.page()).toEqual({ names: ["beyond", "a year ahead"] });
      await table.add("within", NOW + pauseMs, tries);
      expect(await table.page()).toEqual({ names: ["beyond", "a year ahead"], nextDueMs: NOW + pauseMs });
      // Nobody knows for how long they have been due.
      await table.add("overdue", NOW - HOUR_MS, tries);
      expect((await table.page({ limit: 1 })).names).toEqual(["beyond"]);
      expect((await table.page({ leastTried: true })).names).toEqual(["overdue", "beyond", "a year ahead"]);
    },
  );

  test("a clock that was set back by two hours holds nothing for longer than a pause after its tries", async () => {
    // Dated by the clock as it was.
    for (let tries = 1; tries <= 12; tries++) await table.add(`${tries}`, NOW + 2 * HOUR_MS + 1, tries);
    const { names } = await table.page();
    expect(names.map(Number)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
  });

  test("tried more often than are told apart have one longest pause", async () => {
    for (const tries of [MOST_TRIES + 1, 100, 100_000]) expect(table.longestPauseMs(tries)).toBe(table.longestPauseMs(MOST_TRIES));
  });

  test("many of one moment are all found, a page at a time, and one dated too far ahead waits behind none of them", async () => {
    const names = Array.from({ length: 80 }, (_, n) => `o${String(n).padStart(2, "0")}`);
    for (const [n, name] of names.entries()) await table.add(name, NOW, 1 + (n % 25));
    expect((await table.page({ limit: 79 })).names).toHaveLength(79);
    expect((await table.page({ limit: 80 })).names.toSorted()).toEqual(names);
    expect((await table.page({ limit: 100, leastTried: true })).names.toSorted()).toEqual(names);
    await table.add("ahead", NOW + 365 * DAY_MS, 3);
    expect((await table.page({ limit: 2 })).names).toEqual(["ahead", "o00"]);
    expect((await table.page({ limit: 13, leastTried: true })).names.slice(-2)).toEqual(["o77", "ahead"]);
  });
});

describe.each(STORES)("due in %s", (storeKind) => {
  let store: DueStore;

  beforeAll(async () => {
    store = await openDueStore(storeKind);
  });

  afterEach(() => store.clear());
  afterAll(() => store.close());

  test("events under way are left out, and take no other's place in the page", async () => {
    const table = tableOf(store, "events");
    for (let n = 0; n < 6; n++) await table.add(`o${n}`, NOW - 10 + n, 1 + (n % 2));
    await table.add("ahead", NOW + 365 * DAY_MS, 1);
    const { items } = await store.take(["takeEvents", NOW, 100, false, []]);
    const except = ["o0", "o3", "ahead"].map((name) => items.find(({ orderId }) => orderId === name)?.seq ?? 0);
    expect((await table.page()).names).toEqual(["ahead", "o0", "o1", "o2", "o3", "o4", "o5"]);
    expect((await table.page({ except })).names).toEqual(["o1", "o2", "o4", "o5"]);
    expect((await table.page({ except, limit: 3 })).names).toEqual(["o1", "o2", "o4"]);
    expect((await table.page({ except, limit: 2, leastTried: true })).names).toEqual(["o2", "o4"]);
  });

  test("a compensation that was never tried may be due in a minute; dated further ahead by a wrong clock, it is due", async () => {
    await store.add("compensations", "beyond", NOW + LONGEST_FIRST_PAUSE_MS + 1, 0);
    await store.add("compensations", "within", NOW + LONGEST_FIRST_PAUSE_MS, 0);
    const due = async (nowMs: number) => named(await store.take(["takeCompensations", "payment", "first", nowMs, 10, false, []]));
    expect(await due(NOW)).toEqual({ names: ["beyond"], nextDueMs: NOW + LONGEST_FIRST_PAUSE_MS });
    expect(await due(NOW + LONGEST_FIRST_PAUSE_MS - 1)).toEqual({ names: [], nextDueMs: NOW + LONGEST_FIRST_PAUSE_MS });
    expect(await due(NOW + LONGEST_FIRST_PAUSE_MS)).toEqual({ names: ["within"], nextDueMs: NOW + LONGEST_FIRST_PAUSE_MS + 1 });
  });
});

test.each(["file", "postgres"] as const)(
  "in %s compensations of another step, never tried ones and those that are not pending are not among them",
  async (storeKind) => {
    const store = await openDueStore(storeKind);
    const table = tableOf(store, "compensations");
    await table.add("due", NOW);
    await table.add("first", NOW, 0);
    for (const [name, change] of [
      ["vendor", "step = 'vendor'"],
      ["trying", "state = 'trying', next_try_ms = NULL"],
      ["held", "state = 'held', next_try_ms = NULL"],
      ["done", "state = 'done', ended_ms = 1"],
      ["settled", "state = 'settled', ended_ms = 1, note = ''"],
    ] as const) {
      await table.add(name, NOW);
      await store.exec(`UPDATE compensations SET ${change} WHERE attempt_id = (SELECT id FROM attempts WHERE order_id = '${name}')`);
    }
    expect(await table.page()).toEqual({ names: ["due"] });
    const first = await store.take(["takeCompensations", "payment", "first", NOW, 10, false, []]);
    expect(first.items.map(({ orderId, tries }) => [orderId, tries])).toEqual([["first", 0]]);
    await store.close();
  },
);

test.each(STORES)("in %s what was taken nobody else gets", async (storeKind) => {
  await using at = await JournalFixture.open(storeKind);
  await at.run("a", { error: "timeout", compensations: [pending("payment")] });
  expect((await at.journal.takeCompensations("payment", "first", dueAt(NOW))).items).toMatchObject([{ orderId: "a", tries: 0 }]);
  expect(await at.journal.takeCompensations("payment", "first", dueAt(NOW))).toEqual({ items: [] });
});
