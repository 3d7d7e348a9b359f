import type { Client } from "pg";
import { acceptedMs } from "./queries-fixture.ts";

/** Ended orders, every third one failed, with compensations in all states, and 500 that run at life 1; 60 000 rows of each other kind. */
export async function fill(client: Client, orders: number): Promise<void> {
  await client.query(
    `INSERT INTO attempts (id, order_id, attempt, amount, accepted_ms, open_by, ended_ms, error, answer)
     SELECT n, 'o' || n, 1, 1, at_ms, CASE WHEN n > ${orders} THEN 1 END, CASE WHEN n <= ${orders} THEN at_ms + 100 END,
       CASE WHEN n <= ${orders} AND n % 3 = 0 THEN 'timeout' END, repeat('x', 200)
     FROM (SELECT n, $1::bigint + 1000 * n AS at_ms FROM generate_series(1, ${orders} + 500) n) times`,
    [acceptedMs(0)],
  );
  await client.query(`
    INSERT INTO compensations (attempt_id, step, state, next_try_ms, ended_ms, note)
    SELECT id, step, state, CASE WHEN state = 'pending' THEN 1 END, CASE WHEN state IN ('done', 'settled') THEN 1 END,
      CASE WHEN state = 'settled' THEN 'by hand' END
    FROM (
      SELECT id, step, (ARRAY['done', 'pending', 'held', 'settled', 'trying'])[1 + id / 3 % 5] AS state
      FROM attempts CROSS JOIN (VALUES ('payment'), ('vendor')) steps (step) WHERE error IS NOT NULL AND id <= ${orders}
    ) rows ORDER BY id, step`);
  await client.query(`
    INSERT INTO outbox (id, order_id, payload, created_ms, expires_ms, next_try_ms)
    SELECT 'e' || n, 'o' || n, '{}', n, n, n FROM generate_series(1, 60000) n`);
  await client.query(`
    INSERT INTO dead_letters SELECT n, 'e' || n, 'o' || n, '{}', n, n, 'gone' FROM generate_series(1, 60000) n`);
  await client.query(`
    INSERT INTO operator_actions (at_ms, actor, action, order_id) SELECT n, 'ann', 'retry', 'o' || n % 1000 FROM generate_series(1, 60000) n`);
}
