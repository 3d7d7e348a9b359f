import type { CompensationStatus } from "../../../orders/compensation-state.ts";
import type { StepName } from "../../../orders/steps.ts";
import type { AttemptRecord } from "../../memory/attempts.ts";
import type { CompensationRecord } from "../../memory/compensations.ts";
import { type Sql, type Statement, statement } from "../sql.ts";
import type { BatchTables } from "./batch-tables.ts";

/** Of the table `attempts`, in the order of `attemptRow`. */
export const ATTEMPT_COLUMNS =
  "a.id, a.order_id, a.attempt, a.amount, a.accepted_ms, a.open_by, a.ended_ms, a.error, a.interrupted, a.answered, a.answer";

export type AttemptTuple = readonly [number, string, number, number, number, number | null, ...AttemptEnd];
type AttemptEnd = readonly [endedMs: number | null, error: string | null, interrupted: number, answered: number, json: string | null];

export function attemptRow([id, orderId, attempt, amount, acceptedMs, openBy, ...end]: AttemptTuple): AttemptRecord {
  const [endedMs, error, interrupted, answered, json] = end;
  return { id, orderId, attempt, amount, acceptedMs, openBy, endedMs, error, interrupted, answered, json, previous: undefined };
}

/** Of the table `compensations`, in the order of `compensationRecord`. */
export const COMPENSATION_COLUMNS = "c.id, c.attempt_id, c.step, c.state, c.tries, c.next_try_ms, c.last_answer, c.ended_ms, c.note";

export type CompensationTuple = readonly [number, number, StepName, CompensationStatus, number, number | null, ...CompensationEnd];
type CompensationEnd = readonly [lastAnswer: string | null, endedMs: number | null, note: string | null];

export function compensationRecord([id, attemptId, step, status, tries, nextTryMs, ...end]: CompensationTuple): CompensationRecord {
  const [lastAnswer, endedMs, note] = end;
  return { id, attemptId, step, status, tries, nextTryMs, lastAnswer, endedMs, note };
}

/** Loads the attempts that a statement finds. Returns those that the batch has of them now: the first that was loaded stays. */
export async function loadAttempts(sql: Sql, tables: BatchTables, found: Statement, values: readonly unknown[]): Promise<AttemptRecord[]> {
  return (await sql.rows<AttemptTuple>(found, values)).map((row) => tables.attempts.load(attemptRow(row)));
}

const BY_ID = statement("attempts_by_id")`SELECT ${ATTEMPT_COLUMNS} FROM attempts a WHERE id = ANY($1::bigint[])`;
// Locked in the order of their ids.
const COMPENSATIONS = statement("compensations_of_attempts")`
    SELECT ${COMPENSATION_COLUMNS} FROM compensations c WHERE attempt_id = ANY($1::bigint[]) ORDER BY c.id + 0 FOR UPDATE`;

/** Attempts by their ids, with their compensations. */
export async function loadWhole(sql: Sql, tables: BatchTables, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  const [rows] = await Promise.all([sql.rows<CompensationTuple>(COMPENSATIONS, [ids]), loadAttempts(sql, tables, BY_ID, [ids])]);
  for (const row of rows) tables.compensations.load(compensationRecord(row));
}

/** The attempts of compensations, without the other compensations of these. */
export async function loadAttemptsOf(sql: Sql, tables: BatchTables, rows: readonly CompensationRecord[]): Promise<void> {
  const ids = [...new Set(rows.map(({ attemptId }) => attemptId))];
  if (ids.length > 0) await loadAttempts(sql, tables, BY_ID, [ids]);
}
