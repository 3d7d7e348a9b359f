import { DatabaseSync } from "node:sqlite";
import { expect, test, vi } from "vitest";
import { Queries } from "../../workers/journal/queries.ts";
import { Writer } from "../../workers/journal/writer.ts";
import { temporaryFile } from "./temporary-file.ts";

// Tables that grow with the orders.
const LARGE = "attempts|compensations|outbox|dead_letters|idempotency_keys|retired_orders|operator_actions";
const SCAN = new RegExp(`^SCAN (${LARGE}|a|c|one|earlier)\\b`);

// Statements that walk or sort so few rows that it does not matter.
const BOUNDED = [
  // Stops at the first row.
  /^SELECT 1 FROM \w+ (INDEXED BY \w+ WHERE state = 'held' )?LIMIT 1$/,
  // In the order of the table, up to the limit.
  /^SELECT [^()]+ FROM outbox ORDER BY seq LIMIT (1|\?)$/,
  // As many as an attempt has steps.
  /^SELECT [^()]+ FROM compensations WHERE attempt_id = \? ORDER BY id$/,
  // One block.
  /^INSERT OR REPLACE INTO attempt_blocks SELECT .+ FROM attempts WHERE id >= \? - 1024 GROUP BY block$/,
  // What runs.
  /^SELECT [^()]+ FROM open_attempts WHERE/,
];

/** Every statement of a journal that is prepared for the life of its thread. */
function statements(): { db: DatabaseSync; sqls: string[] } {
  const sqls = new Set<string>();
  const prepare = DatabaseSync.prototype.prepare;
  const spy = vi.spyOn(DatabaseSync.prototype, "prepare").mockImplementation(function (this: DatabaseSync, sql, ...rest) {
    sqls.add(sql);
    return prepare.call(this, sql, ...rest);
  });
  const settings = { file: temporaryFile(), role: "writer", events: true } as const;
  const writer = new Writer(settings);
  new Queries(writer.db);
  spy.mockRestore();
  return { db: writer.db, sqls: [...sqls].filter((sql) => /^\s*(SELECT|UPDATE|DELETE|INSERT)/.test(sql)) };
}

/** What of a plan costs more the more rows there are. */
function costs(db: DatabaseSync, sql: string): string[] {
  const plan = db
    .prepare(`EXPLAIN QUERY PLAN ${sql}`)
    .all()
    .map(({ detail }) => String(detail));
  return plan.filter((detail) => SCAN.test(detail) || /TEMP B-TREE/.test(detail));
}

test("no statement walks a large table or sorts its rows: what it costs does not grow with the journal", () => {
  const { db, sqls } = statements();
  expect(sqls.length).toBeGreaterThan(50);
  const dear = sqls.filter((sql) => costs(db, sql).length > 0).map((sql) => sql.replace(/\s+/g, " ").trim());
  expect(dear.filter((sql) => !BOUNDED.some((form) => form.test(sql)))).toEqual([]);
  for (const form of BOUNDED) expect(dear.filter((sql) => form.test(sql))).not.toEqual([]);
  // It would be seen.
  expect(costs(db, "SELECT order_id FROM attempts WHERE amount = 1")).toEqual([expect.stringMatching(/^SCAN attempts/)]);
  expect(costs(db, "SELECT id FROM compensations WHERE attempt_id = 1 ORDER BY tries")).toEqual([expect.stringContaining("TEMP B-TREE")]);
});
