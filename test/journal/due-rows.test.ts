import type { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LONGEST_FIRST_PAUSE_MS, MOST_TRIES } from "../../src/journal/rules/pauses.ts";
import { MAX_RETRY_AFTER_MS } from "../../src/outgoing/retry-after.ts";
import { COMPENSATION_BACKOFF, EVENT_BACKOFF, longestBackoffMs, MAX_HOLD_MS } from "../../src/retries/backoff.ts";
import type { DuePage } from "../../src/retries/retry-queue.ts";
import { compensations as compensationsTable } from "../../workers/journal/tables/compensations.ts";
import { outbox } from "../../workers/journal/tables/outbox.ts";
import { Writer } from "../../workers/journal/writer.ts";
import { DAY_MS, NOW } from "./journal-fixture.ts";
import { temporaryFile } from "./temporary-file.ts";

const HOUR_MS = 3_600_000;

let writer: Writer;
let db: DatabaseSync;

beforeEach(() => {
  writer = new Writer({ file: temporaryFile(), role: "writer", events: true });
  db = writer.db;
});

afterEach(() => writer.close());

interface Asked {
  readonly nowMs?: number;
  readonly limit?: number;
  readonly leastTried?: boolean;
  readonly except?: readonly number[];
}

/** A table with rows that are due some time, each of an order of its own. */
interface Table {
  /** Adds a row with a date and a number of failed tries. Its name is what `page` calls it. */
  add(name: string, nextTryMs: number, tries?: number): void;
  page(asked?: Asked): { names: string[]; nextDueMs?: number };
  idOf(name: string): number;
  /** The longest time, milliseconds, that a row waits which was tried so often. */
  readonly longestPauseMs: (tries: number) => number;
}

const named = ({ items, ...next }: DuePage<{ orderId: string }>) => ({ names: items.map(({ orderId }) => orderId), ...next });
const asked = ({ nowMs = NOW, limit = 100, leastTried = false, except = [] }: Asked = {}) => [nowMs, limit, leastTried, except] as const;

/** What is taken stays taken, so the transaction is rolled back: each test looks more than once. */
function compensations(): Table {
  const table = compensationsTable(db);
  let last = 0;
  return {
    add(name, nextTryMs, tries = 1) {
      db.exec(`
        INSERT INTO attempts (id, order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answer)
          VALUES (${++last}, '${name}', 1, 1, 0, 0, 'timeout', 0, '{}');
        INSERT INTO compensations (attempt_id, step, state, tries, next_try_ms) VALUES (${last}, 'payment', 'pending', ${tries}, ${nextTryMs})`);
    },
    page(options) {
      const [nowMs, limit, leastTried] = asked(options);
      db.exec("BEGIN");
      const page = table.takeDue("payment", "again", nowMs, limit, leastTried);
      db.exec("ROLLBACK");
      return named(page);
    },
    idOf: () => 0,
    longestPauseMs: (tries) => Math.max(MAX_HOLD_MS, longestBackoffMs(tries, COMPENSATION_BACKOFF)),
  };
}

function events(): Table {
  const table = outbox(db, true);
  return {
    add(name, nextTryMs, tries = 1) {
      db.exec(`INSERT INTO outbox (id, order_id, payload, created_ms, expires_ms, tries, next_try_ms)
        VALUES ('${name}', '${name}', '{}', 0, 0, ${tries}, ${nextTryMs})`);
    },
    page: (options) => named(table.due(...asked(options))),
    idOf: (name) => Number(db.prepare("SELECT seq FROM outbox WHERE order_id = ?").get(name)?.seq),
    longestPauseMs: (tries) => Math.max(MAX_RETRY_AFTER_MS, longestBackoffMs(tries, EVENT_BACKOFF)),
  };
}

describe.each([
  ["compensations", compensations],
  ["events", events],
] as const)("%s that are due", (_name, make) => {
  test("come with those first that have been due for the longest, however often they were tried, and with the time of the next", () => {
    const table = make();
    table.add("later", NOW + 20, 2);
    table.add("next", NOW + 10, 30);
    table.add("third", NOW, 1);
    table.add("first", NOW - 30, 40);
    table.add("second", NOW - 20, 3);
    expect(table.page()).toEqual({ names: ["first", "second", "third"], nextDueMs: NOW + 10 });
    expect(table.page({ limit: 2 })).toEqual({ names: ["first", "second"], nextDueMs: NOW + 10 });
    expect(table.page({ nowMs: NOW - 1 })).toEqual({ names: ["first", "second"], nextDueMs: NOW });
    expect(table.page({ nowMs: NOW + 10 })).toEqual({ names: ["first", "second", "third", "next"], nextDueMs: NOW + 20 });
    expect(table.page({ nowMs: NOW + 20 })).toEqual({ names: ["first", "second", "third", "next", "later"] });
  });

  test("for a probe come with those first that were tried least, of one number of tries those due for the longest", () => {
    const table = make();
    table.add("often", NOW - 50, 9);
    table.add("twice", NOW - 40, 2);
    table.add("once, late", NOW - 10, 1);
    table.add("once", NOW - 20, 1);
    table.add("once, not due", NOW + 10, 1);
    const names = ["once", "once, late", "twice", "often"];
    for (let limit = 1; limit <= 5; limit++) expect(table.page({ leastTried: true, limit }).names).toEqual(names.slice(0, limit));
    expect(table.page({ leastTried: true }).nextDueMs).toBe(NOW + 10);
  });

  test.each([1, 2, 8, MOST_TRIES, 500])("dated further ahead than any pause after %i tries are due, and one within is not", (tries) => {
    const table = make();
    const pauseMs = table.longestPauseMs(tries);
    table.add("beyond", NOW + pauseMs + 1, tries);
    table.add("a year ahead", NOW + 365 * DAY_MS, tries);
    expect(table.page()).toEqual({ names: ["beyond", "a year ahead"] });
    table.add("within", NOW + pauseMs, tries);
    expect(table.page()).toEqual({ names: ["beyond", "a year ahead"], nextDueMs: NOW + pauseMs });
    // Nobody knows for how long they have been due.
    table.add("overdue", NOW - HOUR_MS, tries);
    expect(table.page({ limit: 1 }).names).toEqual(["beyond"]);
    expect(table.page({ leastTried: true }).names).toEqual(["overdue", "beyond", "a year ahead"]);
  });

  test("a clock that was set back by two hours holds nothing for longer than a pause after its tries", () => {
    const table = make();
    // Dated by the clock as it was.
    for (let tries = 1; tries <= 12; tries++) table.add(`${tries}`, NOW + 2 * HOUR_MS + 1, tries);
    const { names } = table.page();
    expect(names.map(Number)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
  });

  test("tried more often than are told apart have one longest pause", () => {
    const table = make();
    for (const tries of [MOST_TRIES + 1, 100, 100_000]) expect(table.longestPauseMs(tries)).toBe(table.longestPauseMs(MOST_TRIES));
  });

  test("many of one moment are all found, a page at a time", () => {
    const table = make();
    const names = Array.from({ length: 50 }, (_, n) => `o${String(n).padStart(2, "0")}`);
    for (const [n, name] of names.entries()) table.add(name, NOW, 1 + (n % 25));
    expect(table.page({ limit: 49 }).names).toHaveLength(49);
    expect(table.page({ limit: 50 }).names.toSorted()).toEqual(names);
    expect(table.page({ limit: 100, leastTried: true }).names.toSorted()).toEqual(names);
  });
});

test("events under way are left out, and take no other's place in the page", () => {
  const table = events();
  for (let n = 0; n < 6; n++) table.add(`o${n}`, NOW - 10 + n, 1 + (n % 2));
  table.add("ahead", NOW + 365 * DAY_MS, 1);
  const except = [table.idOf("o0"), table.idOf("o3"), table.idOf("ahead")];
  expect(table.page().names).toEqual(["ahead", "o0", "o1", "o2", "o3", "o4", "o5"]);
  expect(table.page({ except }).names).toEqual(["o1", "o2", "o4", "o5"]);
  expect(table.page({ except, limit: 3 }).names).toEqual(["o1", "o2", "o4"]);
  expect(table.page({ except, limit: 2, leastTried: true }).names).toEqual(["o2", "o4"]);
});

test("compensations of another step, never tried ones and those that are not pending are not among them", () => {
  const table = compensations();
  table.add("due", NOW);
  table.add("first", NOW, 0);
  for (const [name, change] of [
    ["vendor", "step = 'vendor'"],
    ["trying", "state = 'trying', next_try_ms = NULL"],
    ["held", "state = 'held', next_try_ms = NULL"],
    ["done", "state = 'done', ended_ms = 1"],
    ["settled", "state = 'settled', ended_ms = 1, note = ''"],
  ] as const) {
    table.add(name, NOW);
    db.exec(`UPDATE compensations SET ${change} WHERE attempt_id = (SELECT id FROM attempts WHERE order_id = '${name}')`);
  }
  expect(table.page()).toEqual({ names: ["due"] });
  const first = compensationsTable(db).takeDue("payment", "first", NOW, 10, false);
  expect(first.items.map(({ orderId, tries }) => [orderId, tries])).toEqual([["first", 0]]);
  // They are taken: nobody else gets them.
  expect(compensationsTable(db).takeDue("payment", "first", NOW, 10, false)).toEqual({ items: [] });
});

test("a compensation that was never tried may be due in a minute; dated further ahead by a wrong clock, it is due", () => {
  const table = compensations();
  table.add("beyond", NOW + LONGEST_FIRST_PAUSE_MS + 1, 0);
  table.add("within", NOW + LONGEST_FIRST_PAUSE_MS, 0);
  const due = (nowMs: number) => named(compensationsTable(db).takeDue("payment", "first", nowMs, 10, false));
  expect(due(NOW)).toEqual({ names: ["beyond"], nextDueMs: NOW + LONGEST_FIRST_PAUSE_MS });
  expect(due(NOW + LONGEST_FIRST_PAUSE_MS - 1)).toEqual({ names: [], nextDueMs: NOW + LONGEST_FIRST_PAUSE_MS });
  expect(due(NOW + LONGEST_FIRST_PAUSE_MS)).toEqual({ names: ["within"] });
});
