import type { CompensationRow, Cursor, Page, Waiting } from "../../../orders/operator-journal.ts";
import type { CompensationStatus } from "../../../orders/order-journal.ts";
import { perStep, type StepName } from "../../../orders/steps.ts";
import { type CompensationState, ENDED, PENDING, rowOf } from "../compensation/compensation-state.ts";
import { OBJECTS } from "../objects.ts";
import { type EngineTables, isAfter, sqlText } from "./engine-tables.ts";

const SINCE = "json_get_int(value_utf8, 'sinceMs')";
const OF_STATUS: Readonly<Record<CompensationStatus, string>> = {
  pending: `key = ${sqlText(PENDING)}`,
  done: `key = ${sqlText(ENDED)} AND json_get_str(value_utf8, 'note') IS NULL`,
  settled: `key = ${sqlText(ENDED)} AND json_get_str(value_utf8, 'note') IS NOT NULL`,
};

/** A page of the compensations of a status, oldest first. */
export async function compensationPage(
  tables: EngineTables,
  status: CompensationStatus,
  cursor: Cursor | undefined,
  limit: number,
): Promise<Page<CompensationRow>> {
  const after = cursor === undefined ? "" : `AND ${isAfter(SINCE, ">", "service_key", cursor)}`;
  const rows = await tables.rows(
    `SELECT service_key, value_utf8 FROM state WHERE service_name = ${sqlText(OBJECTS.compensation)} AND ${OF_STATUS[status]} ${after}
     ORDER BY ${SINCE}, service_key LIMIT ${limit}`,
  );
  const states = rows.map((row) => JSON.parse(row.value_utf8 as string) as CompensationState);
  const last = rows.length < limit ? undefined : rows.at(-1);
  return { items: states.map(rowOf), ...(last !== undefined && { next: [states.at(-1)?.sinceMs ?? 0, last.service_key as string] }) };
}

/** How many are pending, and since when the oldest is, by step. */
export async function pendingCompensations(tables: EngineTables): Promise<Record<StepName, Waiting>> {
  const rows = await tables.rows(
    `SELECT json_get_str(value_utf8, 'step') AS step, count(*) AS count, min(${SINCE}) AS since FROM state
     WHERE service_name = ${sqlText(OBJECTS.compensation)} AND ${OF_STATUS.pending} GROUP BY json_get_str(value_utf8, 'step')`,
  );
  return perStep((step) => {
    const row = rows.find((each) => each.step === step);
    return row === undefined ? { count: 0 } : { count: row.count as number, sinceMs: row.since as number };
  });
}
