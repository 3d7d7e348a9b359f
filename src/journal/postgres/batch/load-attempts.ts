import type { CompensationRecord } from "../../memory/compensations.ts";
import type { Sql, Statement } from "../sql.ts";
import { ATTEMPT_COLUMNS, type AttemptTuple, attemptRow } from "./attempt-row.ts";
import type { BatchTables } from "./batch-tables.ts";
import { COMPENSATION_COLUMNS, type CompensationTuple, compensationRecord } from "./compensation-row.ts";

const BY_ID: Statement = { name: "attempts_by_id", text: `SELECT ${ATTEMPT_COLUMNS} FROM attempts a WHERE id = ANY($1::bigint[])` };
// Locked in the order of their ids.
const COMPENSATIONS: Statement = {
  name: "compensations_of_attempts",
  text: `SELECT ${COMPENSATION_COLUMNS} FROM compensations c WHERE attempt_id = ANY($1::bigint[]) ORDER BY c.id + 0 FOR UPDATE`,
};

/** Attempts by their ids, with their compensations. */
export async function loadAttempts(sql: Sql, tables: BatchTables, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  const [attempts, rows] = await Promise.all([sql.rows<AttemptTuple>(BY_ID, [ids]), sql.rows<CompensationTuple>(COMPENSATIONS, [ids])]);
  for (const row of attempts) tables.attempts.load(attemptRow(row));
  for (const row of rows) tables.compensations.load(compensationRecord(row));
}

/** The attempts of compensations, without the other compensations of these. */
export async function loadAttemptsOf(sql: Sql, tables: BatchTables, rows: readonly CompensationRecord[]): Promise<void> {
  const ids = [...new Set(rows.map(({ attemptId }) => attemptId))];
  if (ids.length === 0) return;
  for (const row of await sql.rows<AttemptTuple>(BY_ID, [ids])) tables.attempts.load(attemptRow(row));
}
