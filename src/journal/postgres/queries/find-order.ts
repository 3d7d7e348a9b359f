import type { FoundOrder } from "../../protocol.ts";
import { find } from "../../rules/find.ts";
import { BatchTables } from "../batch/batch-tables.ts";
import { ATTEMPT_COLUMNS, COMPENSATION_COLUMNS, type CompensationTuple, compensationRecord, loadAttempts } from "../batch/rows.ts";
import { type Sql, statement } from "../sql.ts";

// The newest two: one may run, and then the other is the latest that has ended.
const ATTEMPTS = statement("find_attempts")`(SELECT ${ATTEMPT_COLUMNS} FROM attempts a WHERE order_id = $1 ORDER BY attempt DESC LIMIT 2)
         UNION ALL (SELECT ${ATTEMPT_COLUMNS} FROM attempts a WHERE order_id = $1 AND attempt < $2::bigint ORDER BY attempt DESC LIMIT $3)`;
const COMPENSATIONS = statement("find_compensations")`
    SELECT ${COMPENSATION_COLUMNS} FROM compensations c WHERE attempt_id = ANY($1::bigint[]) ORDER BY id`;
const RETIRED = statement("find_retired")`SELECT attempt FROM retired_orders WHERE order_id = $1`;
const NO_LIFE = 0;

/** An order, its newest attempts before one of them where that is given, and their compensations; null where nothing is known of it. */
export async function findOrder(
  sql: Sql,
  firstIds: readonly number[],
  orderId: string,
  before: number | null,
  limit: number,
): Promise<FoundOrder | null> {
  const tables = new BatchTables(NO_LIFE, false, { firstIds });
  const [attempts, [retired]] = await Promise.all([
    loadAttempts(sql, tables, ATTEMPTS, [orderId, before ?? Number.MAX_SAFE_INTEGER, limit]),
    sql.rows<[number]>(RETIRED, [orderId]),
  ]);
  if (retired !== undefined) tables.retiredAttempts.set(orderId, retired[0]);
  const ids = [...new Set(attempts.map(({ id }) => id))];
  // Most orders are placed, and a placed one has nothing to compensate.
  const isFailed = attempts.some(({ error }) => error !== null);
  const rows = isFailed ? await sql.rows<CompensationTuple>(COMPENSATIONS, [ids]) : [];
  for (const row of rows) tables.compensations.load(compensationRecord(row));
  return find(tables, orderId, before, limit);
}
