import type { CompensationRow, Cursor, Page, Waiting } from "../../../orders/operator-journal.ts";
import type { CompensationStatus } from "../../../orders/order-journal.ts";
import type { StepName } from "../../../orders/step.ts";
import { type CompensationState, ENDED, PENDING, rowOf } from "../compensation/compensation-state.ts";
import { OBJECTS } from "../objects.ts";
import { type EngineTables, quoted } from "./engine-tables.ts";

const SINCE = "json_get_int(value_utf8, 'sinceMs')";
const OF_STATUS: Readonly<Record<CompensationStatus, string>> = {
  pending: `key = ${quoted(PENDING)}`,
  done: `key = ${quoted(ENDED)} AND json_get_str(value_utf8, 'note') IS NULL`,
  settled: `key = ${quoted(ENDED)} AND json_get_str(value_utf8, 'note') IS NOT NULL`,
};

/** A page of the compensations of a status, oldest first. */
export async function compensationPage(
  engine: EngineTables,
  status: CompensationStatus,
  cursor: Cursor | undefined,
  limit: number,
): Promise<Page<CompensationRow>> {
  const after = cursor === undefined ? "" : `AND ${isAfter(cursor)}`;
  const rows = await engine.rows(
    `SELECT service_key, value_utf8 FROM state WHERE service_name = ${quoted(OBJECTS.compensation)} AND ${OF_STATUS[status]} ${after}
     ORDER BY ${SINCE}, service_key LIMIT ${limit}`,
  );
  const states = rows.map((row) => JSON.parse(row.value_utf8 as string) as CompensationState);
  const last = rows.length < limit ? undefined : rows.at(-1);
  return { items: states.map(rowOf), ...(last !== undefined && { next: [states.at(-1)?.sinceMs ?? 0, last.service_key as string] }) };
}

/** What waits, by step. */
export async function waitingCompensations(engine: EngineTables): Promise<Record<StepName, Waiting>> {
  const rows = await engine.rows(
    `SELECT json_get_str(value_utf8, 'step') AS step, count(*) AS count, min(${SINCE}) AS since FROM state
     WHERE service_name = ${quoted(OBJECTS.compensation)} AND ${OF_STATUS.pending} GROUP BY json_get_str(value_utf8, 'step')`,
  );
  const of = (step: StepName): Waiting => {
    const row = rows.find((each) => each.step === step);
    return row === undefined ? { count: 0 } : { count: row.count as number, sinceMs: row.since as number };
  };
  return { payment: of("payment"), vendor: of("vendor"), courier: of("courier") };
}

function isAfter([sinceMs, key]: Cursor): string {
  return `(${SINCE} > ${Number(sinceMs)} OR (${SINCE} = ${Number(sinceMs)} AND service_key > ${quoted(String(key))}))`;
}
