import { expect, test } from "vitest";
import { PostgresQueries } from "../../../src/journal/postgres/queries/postgres-queries.ts";
import type { Sql } from "../../../src/journal/postgres/sql.ts";
import { acceptedMs, pages, QueriesFixture } from "./queries-fixture.ts";

const endedMs = acceptedMs(1) + 100;
const failed = { id: 1, order_id: "failed", ended_ms: endedMs, error: "timeout" };

test("compensations are listed by their state, oldest first, over all steps, each once however small the pages are", async () => {
  await using at = await QueriesFixture.open();
  await at.attempts(failed, { ...failed, id: 2, order_id: "other" });
  const steps = ["vendor", "payment", "courier"];
  const states = ["pending", "done", "trying", "settled", "held"] as const;
  const ids = Array.from({ length: 30 }, (_, index) => index + 1);
  await at.compensations(
    ...ids.map((id) => {
      const state = states[id % 5] ?? "done";
      const isEnded = state === "done" || state === "settled";
      const ended = isEnded ? { ended_ms: endedMs, ...(state === "settled" && { note: "by hand" }) } : {};
      // One attempt has one row of a step.
      return { id, attempt_id: id <= 3 ? 1 : 1 + id, step: steps[id % 3] ?? "", state, ...ended };
    }),
  );
  await at.attempts(
    ...ids
      .slice(3)
      .map((id) => ({ ...failed, id: 1 + id, order_id: `o${id}` }))
      .slice(1),
    { ...failed, id: 5, order_id: "o4" },
  );
  for (const state of states) {
    const expected = ids.filter((id) => states[id % 5] === state);
    for (const limit of [1, 2, 5, 6, 100]) {
      const found = (await pages((cursor) => at.compensationPage(state, cursor, limit))).flat();
      expect(found.map(({ id, status }) => [id, status])).toEqual(expected.map((id) => [id, state]));
    }
  }
});

test("a compensation is shown with its attempt, without what there is not", async () => {
  await using at = await QueriesFixture.open();
  await at.attempts({ ...failed, attempt: 3 });
  await at.compensations(
    { id: 1, attempt_id: 1, step: "payment", state: "pending", tries: 2, next_try_ms: 5_000, last_answer: "503" },
    { id: 2, attempt_id: 1, step: "vendor", state: "settled", ended_ms: 7_000, note: "by hand" },
    { id: 3, attempt_id: 1, step: "courier", state: "trying" },
  );
  const order = { orderId: "failed", attempt: 3, amount: 100, sinceMs: endedMs };
  const expected = [
    { id: 1, ...order, step: "payment", status: "pending", tries: 2, nextTryMs: 5_000, lastAnswer: "503" },
    { id: 2, ...order, step: "vendor", status: "settled", tries: 0, endedMs: 7_000, note: "by hand" },
    { id: 3, ...order, step: "courier", status: "trying", tries: 0 },
  ];
  for (const row of expected) expect(await at.queries.run(["compensation", row.id])).toStrictEqual(row);
  expect((await at.compensationPage("pending", undefined, 10)).items).toStrictEqual([expected[0]]);
  expect(await at.queries.run(["compensation", 4])).toBeNull();
});

test("those that are done are found among any number of others, none twice and none missed while others are done", async () => {
  await using at = await QueriesFixture.open();
  await at.attempts(failed);
  // One attempt with a row each of thousands of steps is enough for the list.
  await at.client.query("DROP INDEX compensations_by_attempt");
  // Where the looks of the first page end, and long after.
  const isDone = "n BETWEEN 4999 AND 5003 OR n > 12000";
  await at.client.query(
    `INSERT INTO compensations (id, attempt_id, step, state, ended_ms)
     SELECT n, 1, 'payment', CASE WHEN ${isDone} THEN 'done' ELSE 'pending' END, CASE WHEN ${isDone} THEN 1 END
     FROM generate_series(1, 12020) n`,
  );
  const done = [4_999, 5_000, 5_001, 5_002, 5_003, ...Array.from({ length: 20 }, (_, index) => 12_001 + index)];
  const first = await at.compensationPage("done", undefined, 7);
  expect([first.items.map(({ id }) => id), first.next !== undefined]).toEqual([[4_999, 5_000], true]);
  let next = 100;
  const between = async () => {
    await at.client.query("UPDATE compensations SET state = 'done', ended_ms = 1 WHERE id = $1", [next]);
    next += 3_000;
  };
  const found = (await pages((cursor) => at.compensationPage("done", cursor, 7), between)).flat().map(({ id }) => id);
  expect(next).toBeGreaterThan(100);
  expect(new Set(found).size).toBe(found.length);
  expect(done.filter((id) => !found.includes(id))).toEqual([]);
});

test("rows that are deleted between the statements of a page make nothing come twice or not at all", async () => {
  await using at = await QueriesFixture.open();
  await at.attempts(failed);
  await at.client.query("DROP INDEX compensations_by_attempt");
  await at.client.query(
    `INSERT INTO compensations (id, attempt_id, step, state, ended_ms)
     SELECT n, 1, 'payment', CASE WHEN n % 1000 = 0 THEN 'done' ELSE 'pending' END, CASE WHEN n % 1000 = 0 THEN 1 END
     FROM generate_series(1, 16000) n`,
  );
  let deleted = 0;
  const sql: Sql = {
    rows: async (statement, values) => {
      const rows = await at.sql.rows(statement, values);
      // Retention, at the worst moment.
      const { rowCount } = await at.client.query("DELETE FROM compensations WHERE state = 'pending' AND id BETWEEN $1 AND $1 + 2500", [
        Number(values?.[0] ?? 0) + 2_000,
      ]);
      deleted += rowCount ?? 0;
      return rows as never;
    },
  };
  const queries = new PostgresQueries(sql, { firstIds: [] });
  const found = (await pages((cursor) => queries.run(["compensations", "done", cursor, 100]))).flat().map(({ id }) => id);
  expect(deleted).toBeGreaterThan(4_000);
  expect(found).toEqual(Array.from({ length: 16 }, (_, index) => 1_000 * (index + 1)));
});
