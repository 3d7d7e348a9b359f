import { DatabaseSync } from "node:sqlite";
import { Journal } from "../../src/journal/journal.ts";
import { STEPS } from "../../src/orders/steps.ts";

/** The rows to fill a journal with, as a long outage leaves them. */
export interface Filling {
  /** Failed orders; none of their steps is compensated yet. */
  readonly pendingOrders?: number;
  /** Undelivered events, each of an order of its own. */
  readonly events?: number;
  /** Failed attempts at one order, `hot`. */
  readonly hotAttempts?: number;
  /** Orders that ended so many days ago: a third placed, the rest failed with everything compensated. */
  readonly oldOrders?: { readonly count: number; readonly days: number };
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const ANSWER = (status: string, error: string) =>
  `'{"status":"${status}","order_id":"' || order_id || '","steps":[{"name":"payment","status":"ok","duration_ms":152},{"name":"vendor","status":"ok","duration_ms":203},{"name":"courier","status":"ok","duration_ms":101}]${error}}'`;
const FAILED = `,"error":{"kind":"vendor_unavailable","message":"order failed"}`;

/** Makes a journal and fills it by SQL, which takes seconds where orders would take an hour. */
export async function fillJournal(file: string, { pendingOrders = 0, events = 0, hotAttempts = 0, oldOrders }: Filling): Promise<void> {
  await (await Journal.open(file)).close();
  const db = new DatabaseSync(file);
  db.exec("PRAGMA synchronous = OFF; BEGIN");
  const nowMs = Date.now();
  const attempts = (count: number, orderId: string, attempt: string, endedMs: number, error: string) =>
    db.exec(`
      WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ${count})
      INSERT INTO attempts (order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answer)
      SELECT order_id, ${attempt}, 1200, ${endedMs} - 200, ${endedMs}, ${error}, 0,
        CASE WHEN ${error} IS NULL THEN ${ANSWER("ok", "")} ELSE ${ANSWER("error", FAILED)} END
      FROM (SELECT n, ${orderId} AS order_id FROM n)`);
  if (pendingOrders > 0) {
    attempts(pendingOrders, "'pending ' || n", "1", nowMs - DAY_MS / 2, "'vendor_unavailable'");
    for (const step of STEPS) {
      db.exec(`
        INSERT INTO compensations (attempt_id, step, tries, next_try_ms, last_answer)
        SELECT id, '${step}', 7, ${nowMs} - id % 60000, 'HTTP 503' FROM attempts WHERE order_id LIKE 'pending %'`);
    }
  }
  if (hotAttempts > 0) attempts(hotAttempts, "'hot'", "n", nowMs - DAY_MS / 2, "'vendor_unavailable'");
  if (oldOrders !== undefined) {
    const oldMs = nowMs - oldOrders.days * DAY_MS;
    attempts(oldOrders.count, "'old ' || n", "1", oldMs, "CASE WHEN n % 3 = 0 THEN NULL ELSE 'vendor_unavailable' END");
    for (const step of ["courier", "payment"]) {
      db.exec(`
        INSERT INTO compensations (attempt_id, step, state, tries, ended_ms)
        SELECT id, '${step}', 'done', 1, ended_ms FROM attempts WHERE order_id LIKE 'old %' AND error IS NOT NULL`);
    }
    // By it a service that starts believes the clock, and deletes what is old without waiting for an hour.
    attempts(1, "'lately'", "1", nowMs - 1.5 * HOUR_MS, "NULL");
  }
  if (events > 0) {
    db.exec(`
      WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ${events})
      INSERT INTO outbox (id, order_id, payload, created_ms, expires_ms, next_try_ms)
      SELECT 'evt_' || n, 'event ' || n, '{"type":"order.placed","timestamp":"2026-01-01T00:00:00.000Z","data":{"order_id":"event ' || n || '","amount":1200,"attempt":1}}',
        ${nowMs} - 3600000, ${nowMs} + ${DAY_MS}, ${nowMs} - n % 60000 FROM n`);
  }
  db.exec("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
}
