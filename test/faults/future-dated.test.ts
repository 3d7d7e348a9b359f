import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";

const NOW = Date.UTC(2026, 10, 21);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const REQUEST = { nowMs: NOW, limit: 100, leastTried: false, underWay: [] };

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "future-"));
  file = join(directory, "orders.db");
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A journal in which the clock that wrote some rows may have been ahead. */
async function journalWith(write: (db: DatabaseSync) => void): Promise<Journal> {
  await (await Journal.open(file, { events: true })).close();
  using db = new DatabaseSync(file);
  write(db);
  return Journal.open(file, { events: true });
}

// By tries: the longest pause that a row may have, which is what a `Retry-After` or the backoff allows.
const LONGEST_MS: readonly (readonly [tries: number, pauseMs: number])[] = [
  [0, MINUTE_MS],
  [1, MINUTE_MS],
  [9, MINUTE_MS],
  [10, 200 * 2 ** 9],
  [12, 200 * 2 ** 11],
  [15, 200 * 2 ** 14],
  [16, HOUR_MS],
  [1_000, HOUR_MS],
];

test("a compensation dated further ahead than its longest pause is due at once, and none that may wait so long", async () => {
  const journal = await journalWith((db) => {
    const add = (orderId: string, tries: number, nextTryMs: number) => {
      const { lastInsertRowid } = db
        .prepare(
          "INSERT INTO attempts (order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answer) VALUES (?, 1, 1, 1, 1, 'timeout', 0, '{}')",
        )
        .run(orderId);
      db.prepare("INSERT INTO compensations (attempt_id, step, tries, next_try_ms) VALUES (?, 'payment', ?, ?)").run(
        lastInsertRowid,
        tries,
        nextTryMs,
      );
    };
    for (const [tries, pauseMs] of LONGEST_MS) {
      // One that is due now is no other case.
      if (pauseMs > 0) add(`waits-${tries}`, tries, NOW + pauseMs);
      add(`ahead-${tries}`, tries, NOW + pauseMs + 1);
    }
  });
  try {
    const taken = [
      ...(await journal.takeCompensations("payment", "first", REQUEST)).items,
      ...(await journal.takeCompensations("payment", "again", REQUEST)).items,
    ];
    expect(new Set(taken.map(({ orderId }) => orderId))).toEqual(new Set(LONGEST_MS.map(([tries]) => `ahead-${tries}`)));
    expect(taken).toHaveLength(LONGEST_MS.length);
  } finally {
    await journal.close();
  }
});

test("an event dated further ahead than its longest pause is due at once, and none that may wait so long", async () => {
  const journal = await journalWith((db) => {
    const add = (orderId: string, tries: number, nextTryMs: number) =>
      db
        .prepare(
          "INSERT INTO outbox (id, order_id, payload, created_ms, expires_ms, tries, next_try_ms) VALUES ('evt_' || ?1, ?1, '{}', 1, 1, ?2, ?3)",
        )
        .run(orderId, tries, nextTryMs);
    add("ahead-0", 0, NOW + 1);
    for (const tries of [1, 5, 100]) {
      // A receiver may ask for an hour after the first try already.
      add(`waits-${tries}`, tries, NOW + HOUR_MS);
      add(`ahead-${tries}`, tries, NOW + HOUR_MS + 1);
    }
  });
  try {
    const { items } = await journal.takeEvents(REQUEST);
    expect(items.map(({ orderId }) => orderId).toSorted()).toEqual(["ahead-0", "ahead-1", "ahead-100", "ahead-5"]);
  } finally {
    await journal.close();
  }
});
