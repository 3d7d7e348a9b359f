import { expect, test } from "vitest";
import { acceptedMs, pages, QueriesFixture } from "./queries-fixture.ts";

test("dead letters come in the order in which they were written, each once", async () => {
  await using at = await QueriesFixture.open();
  const letters = [3, 9, 1, 4, 7].map((seq) => ({
    seq,
    id: `evt_${seq}`,
    order_id: `o${seq}`,
    payload: `{"seq":${seq}}`,
    created_ms: seq,
    given_up_ms: 100 - seq,
    reason: "gone",
  }));
  await at.insert("dead_letters", letters);
  for (const limit of [1, 2, 5, 6]) {
    const found = (await pages((cursor) => at.queries.run(["deadLetters", cursor, limit]))).flat();
    expect(found.map(({ seq }) => seq)).toEqual([1, 3, 4, 7, 9]);
    expect(found[1]).toStrictEqual({
      seq: 3,
      id: "evt_3",
      orderId: "o3",
      payload: '{"seq":3}',
      createdMs: 3,
      givenUpMs: 97,
      reason: "gone",
    });
  }
});

test("the newest actions about an order come oldest first, and none about another one or about none", async () => {
  await using at = await QueriesFixture.open();
  const orders = ["a", "b", null, "a", "a"];
  await at.insert(
    "operator_actions",
    orders.map((order_id, index) => ({
      id: index + 1,
      at_ms: 10 * index,
      actor: "ann",
      action: "retry",
      order_id,
      detail: index === 3 ? "payment" : null,
    })),
  );
  const action = { actor: "ann", action: "retry" };
  const last = [
    { ...action, atMs: 30, detail: "payment" },
    { ...action, atMs: 40 },
  ];
  expect(await at.queries.run(["actions", "a", 2])).toStrictEqual(last);
  expect(await at.queries.run(["actions", "a", 9])).toStrictEqual([{ ...action, atMs: 0 }, ...last]);
  expect(await at.queries.run(["actions", "c", 9])).toEqual([]);
});

test("the last end before a time is that of a placed order, of a failed one or of an event", async () => {
  await using at = await QueriesFixture.open();
  const before = (ms: number) => at.queries.run(["lastEndBefore", ms]);
  expect(await before(Number.MAX_SAFE_INTEGER)).toBeNull();
  await at.attempts({ id: 1, order_id: "runs", open_by: 1, accepted_ms: 500 });
  expect(await before(Number.MAX_SAFE_INTEGER)).toBeNull();
  await at.attempts(
    { id: 2, order_id: "placed", accepted_ms: 900, ended_ms: 1_000 },
    { id: 3, order_id: "failed", accepted_ms: 1_900, ended_ms: 2_000, error: "timeout" },
  );
  await at.insert("dead_letters", [{ seq: 1, id: "e", order_id: "o", payload: "{}", created_ms: 1, given_up_ms: 3_000, reason: "gone" }]);
  const expected = new Map([
    [1_000, null],
    [1_001, 1_000],
    [2_000, 1_000],
    [2_001, 2_000],
    [3_000, 2_000],
    [3_001, 3_000],
  ]);
  for (const [ms, endMs] of expected) expect([ms, await before(ms)]).toEqual([ms, endMs]);
});

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
