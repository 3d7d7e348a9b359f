import { expect, test } from "vitest";
import { EVENT_KEPT_MS } from "../../../src/journal/rules/event-payload.ts";
import { QueriesFixture } from "./queries-fixture.ts";

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
