import { expect, test } from "vitest";
import { pages, QueriesFixture } from "./queries-fixture.ts";

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
