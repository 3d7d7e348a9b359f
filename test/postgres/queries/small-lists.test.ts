import { expect, test } from "vitest";
import { EVENT_KEPT_MS } from "../../../src/journal/rules/event-payload.ts";
import { acceptedMs, pages, QueriesFixture } from "./queries-fixture.ts";

test("the last end is found among placed orders long before the newest", async () => {
  await using at = await QueriesFixture.open();
  await at.client.query(
    `INSERT INTO attempts (id, order_id, attempt, amount, accepted_ms, ended_ms, answer)
     SELECT n, 'o' || n, 1, 1, $1::bigint + 1000 * n, $1::bigint + 1000 * n + 100, '{}' FROM generate_series(1, 30000) n`,
    [acceptedMs(0)],
  );
  expect(await at.queries.run(["lastEndBefore", acceptedMs(7_000)])).toBe(acceptedMs(6_999) + 100);
  expect(await at.queries.run(["lastEndBefore", acceptedMs(1)])).toBeNull();
});

const failed = { order_id: "failed", error: "timeout" };

test("the backlog has counts and ages of what waits, and nothing of what has ended", { tags: ["three-steps"] }, async () => {
  await using at = await QueriesFixture.open();
  const nothing = { payment: { count: 0 }, vendor: { count: 0 }, courier: { count: 0 } };
  const empty = await at.queries.run(["backlog"]);
  expect(empty).toStrictEqual({ compensations: nothing, events: { count: 0 }, deadLetters: 0, bytes: expect.any(Number) });
  expect(empty.bytes).toBeGreaterThan(0);

  await at.attempts({ ...failed, id: 1, ended_ms: 1_000 }, { ...failed, id: 2, attempt: 2, ended_ms: 2_000 });
  await at.attempts({ ...failed, id: 3, attempt: 3, ended_ms: 3_000 });
  await at.compensations(
    { id: 1, attempt_id: 1, step: "payment", state: "done", ended_ms: 9_000 },
    { id: 2, attempt_id: 2, step: "payment", state: "held" },
    { id: 3, attempt_id: 3, step: "payment", state: "pending" },
    { id: 4, attempt_id: 1, step: "vendor", state: "settled", ended_ms: 9_000, note: "by hand" },
    { id: 5, attempt_id: 3, step: "courier", state: "trying" },
  );
  const event = { order_id: "o", payload: "{}", created_ms: 10, next_try_ms: 50, tries: 0 };
  await at.insert("outbox", [
    { ...event, seq: 1, id: "e1", expires_ms: EVENT_KEPT_MS + 70 },
    { ...event, seq: 2, id: "e2", expires_ms: EVENT_KEPT_MS + 10 },
  ]);
  await at.insert("dead_letters", [{ seq: 3, id: "e", order_id: "o", payload: "{}", created_ms: 1, given_up_ms: 3_000, reason: "gone" }]);
  expect(await at.queries.run(["backlog"])).toStrictEqual({
    compensations: { payment: { count: 2, sinceMs: 2_000 }, vendor: { count: 0 }, courier: { count: 1, sinceMs: 3_000 } },
    held: 1,
    events: { count: 2, sinceMs: 70 },
    deadLetters: 1,
    // It costs looks at files, so it is not read each time.
    bytes: empty.bytes,
  });
});

test("more than some thousands are counted too, and those that few are left of are counted anew", async () => {
  await using at = await QueriesFixture.open();
  await at.client.query(
    `INSERT INTO outbox (id, order_id, payload, created_ms, expires_ms, next_try_ms)
     SELECT 'e' || n, 'o' || n, '{}', 1, ${EVENT_KEPT_MS} + n, 1 FROM generate_series(1, 25000) n`,
  );
  const letter = { order_id: "o", payload: "{}", created_ms: 1, given_up_ms: 1, reason: "gone" };
  await at.insert("dead_letters", [
    { ...letter, seq: 1, id: "a" },
    { ...letter, seq: 2, id: "b" },
  ]);
  expect(await at.queries.run(["backlog"])).toMatchObject({ events: { count: 25_000, sinceMs: 1 }, deadLetters: 2 });
  // Beside a kind of which there are many.
  await at.client.query("DELETE FROM dead_letters WHERE seq = 1");
  expect((await at.queries.run(["backlog"])).deadLetters).toBe(1);
  await at.client.query("DELETE FROM outbox WHERE seq > 3");
  expect((await at.queries.run(["backlog"])).events).toEqual({ count: 3, sinceMs: 1 });
});

const CLOSED_BY_RESTORE = 2;

test("what is held is listed by attempt, and counted by order", async () => {
  await using at = await QueriesFixture.open();
  expect(await at.queries.run(["restore"])).toStrictEqual({ orders: 0, compensations: 0 });
  await at.insert("restores", [
    { restored_ms: 5_000, first_id: 10 },
    { restored_ms: 6_000, first_id: 20 },
  ]);
  const failed = { ended_ms: 4_000, accepted_ms: 3_000, error: "timeout" };
  await at.attempts(
    { ...failed, id: 1, order_id: "twice" },
    { ...failed, id: 2, order_id: "closed", interrupted: CLOSED_BY_RESTORE },
    { ...failed, id: 3, order_id: "pending" },
    { ...failed, id: 4, order_id: "twice", attempt: 2 },
    { ...failed, id: 5, order_id: "settled before", attempt: 1 },
    { ...failed, id: 6, order_id: "settled before", attempt: 2 },
  );
  await at.compensations(
    { id: 1, attempt_id: 1, step: "vendor", state: "held", tries: 2, last_answer: "503" },
    { id: 2, attempt_id: 1, step: "payment", state: "held" },
    { id: 3, attempt_id: 2, step: "payment", state: "held" },
    { id: 4, attempt_id: 3, step: "payment", state: "pending" },
    { id: 5, attempt_id: 4, step: "payment", state: "held" },
    { id: 6, attempt_id: 1, step: "courier", state: "settled", ended_ms: 7_000, note: "by hand" },
    { id: 7, attempt_id: 5, step: "payment", state: "settled", ended_ms: 7_000, note: "by hand" },
    { id: 8, attempt_id: 6, step: "payment", state: "held" },
  );
  expect(await at.queries.run(["restore"])).toStrictEqual({ restoredMs: 6_000, orders: 3, compensations: 5 });
  const common = { acceptedMs: 3_000, endedMs: 4_000 };
  const one = (id: number, step: string) => ({ id, step, tries: 0 });
  const expected = [
    {
      ...common,
      orderId: "twice",
      attempt: 1,
      amount: 100,
      compensations: [{ id: 1, step: "vendor", tries: 2, lastAnswer: "503" }, one(2, "payment")],
    },
    { acceptedMs: 3_000, orderId: "closed", attempt: 1, amount: 200, compensations: [one(3, "payment")] },
    { ...common, orderId: "twice", attempt: 2, amount: 400, compensations: [one(5, "payment")] },
    { ...common, orderId: "settled before", attempt: 2, amount: 600, compensations: [one(8, "payment")] },
  ];
  for (const limit of [1, 2, 4, 9])
    expect((await pages((cursor) => at.queries.run(["heldAttempts", cursor, limit]))).flat()).toStrictEqual(expected);
});

test("any number of held compensations is counted, and few of them anew each time", async () => {
  await using at = await QueriesFixture.open();
  await at.client.query(
    `INSERT INTO attempts (id, order_id, attempt, amount, accepted_ms, ended_ms, error)
     SELECT n, 'o' || n / 2, n % 2, 1, 1, 1, 'timeout' FROM generate_series(2, 9001) n`,
  );
  await at.client.query(
    `INSERT INTO compensations (attempt_id, step, state)
     SELECT n, step, 'held' FROM generate_series(2, 9001) n CROSS JOIN (VALUES ('payment'), ('vendor')) steps (step)`,
  );
  expect(await at.queries.run(["restore"])).toEqual({ orders: 4_500, compensations: 18_000 });
  await at.client.query("UPDATE compensations SET state = 'pending' WHERE attempt_id > 1999");
  expect(await at.queries.run(["restore"])).toEqual({ orders: 999, compensations: 3_996 });
});
