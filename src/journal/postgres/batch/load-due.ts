import type { OrderEvent } from "../../../orders/order-event.ts";
import type { OperationOf } from "../../protocol.ts";
import { dueOrder, longestCompensationPauseMs, longestEventPauseMs, MOST_TRIES } from "../../rules/due.ts";
import { type Sql, statement } from "../sql.ts";
import { AGAIN_MS } from "./batch-compensations.ts";
import type { BatchTables } from "./batch-tables.ts";
import { COMPENSATION_COLUMNS, type CompensationTuple, compensationRecord, loadAttemptsOf } from "./rows.ts";

// How many rows more are looked at than are wanted: other nodes may have as many in their hands.
const MORE = 64;
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

/**
 * Ids of rows that are due, by how often they were tried: each number of tries has a longest pause of its own, and a row dated further ahead was
 * written while a clock ran ahead. `$1` now, `$2` and `$3` the numbers of tries and now with their longest pauses, `$4` how many.
 */
function dueIds(table: string, id: string, where: string): string {
  const part = (condition: string) => `
    (SELECT ${id} AS id, tries, next_try_ms FROM ${table} WHERE ${where} AND least(tries, ${MOST_TRIES}) = g.tries AND ${condition}
     ORDER BY next_try_ms LIMIT $4)`;
  return `
    SELECT due.id, due.tries, due.next_try_ms FROM unnest($2::integer[], $3::bigint[]) g (tries, ahead_ms)
    CROSS JOIN LATERAL (${part("next_try_ms <= $1")} UNION ALL ${part("next_try_ms > g.ahead_ms")}) due`;
}

function nextDue(table: string, where: string): string {
  return `
    SELECT min(next.due_ms) FROM unnest($2::integer[], $3::bigint[]) g (tries, ahead_ms) CROSS JOIN LATERAL (
      SELECT next_try_ms AS due_ms FROM ${table} WHERE ${where} AND least(tries, ${MOST_TRIES}) = g.tries
        AND next_try_ms > $1 AND next_try_ms <= g.ahead_ms ORDER BY next_try_ms LIMIT 1) next`;
}

/** As `dueOrder` says, but for rows of one moment. `$1` now; `leastTried` as a parameter. */
function inDueOrder(leastTried: string): string {
  const tries = `least(due.tries, ${MOST_TRIES})`;
  const since = `CASE WHEN due.next_try_ms <= $1 THEN due.next_try_ms WHEN ${leastTried} THEN ${NO_LIMIT} ELSE -1 END`;
  return `ORDER BY CASE WHEN ${leastTried} THEN ${tries} END, ${since}, ${tries}, due.next_try_ms`;
}

/**
 * Rows that are due and free, with how many are due; one of nulls where none is. Chosen without a lock: a wait for it would find the row
 * taken.
 */
function dueRows(due: string, locked: string): string {
  return `WITH due AS (${due} LIMIT $4), locked AS (${locked} FOR UPDATE SKIP LOCKED)
    SELECT locked.*, seen.count FROM (SELECT count(*) FROM due) seen LEFT JOIN locked ON true`;
}

const COMPENSATIONS = statement("due_compensations")`${dueRows(
  `${dueIds("compensations", "id", "step = $5 AND state = 'pending'")} ${inDueOrder("$6")}`,
  `SELECT ${COMPENSATION_COLUMNS} FROM compensations c
     WHERE c.id = ANY (ARRAY(SELECT id FROM due)) AND c.state = 'pending' ORDER BY c.id + 0`,
)}`;
const NEXT_COMPENSATION = statement("next_due_compensation")`${nextDue("compensations", "step = $4 AND state = 'pending'")}`;

// Of each order the first only; one that this node has taken and does not send is due like any other.
const IS_FREE = `(taken_by IS NULL OR taken_by = $5) AND NOT seq = ANY($6::bigint[])
  AND (SELECT seq FROM outbox earlier WHERE earlier.order_id = outbox.order_id AND earlier.seq < outbox.seq LIMIT 1) IS NULL`;
const EVENTS = statement("due_events")`${dueRows(
  `${dueIds("outbox", "seq", IS_FREE)} ${inDueOrder("$7")}`,
  `SELECT seq, id, order_id, payload, created_ms, expires_ms, tries, next_try_ms FROM outbox
     WHERE seq = ANY (ARRAY(SELECT id FROM due)) AND (taken_by IS NULL OR taken_by = $5) ORDER BY seq + 0`,
)}`;
const NEXT_EVENT = statement("next_due_event")`${nextDue("outbox", "taken_by IS NULL")}`;

type EventTuple = readonly [seq: number, id: string, orderId: string, payload: string, ...EventEnd];
type EventEnd = readonly [createdMs: number, expiresMs: number, tries: number, nextTryMs: number, dueCount: number];

export async function loadDueCompensations(
  sql: Sql,
  tables: BatchTables,
  [, step, kind, nowMs, limit, leastTried]: OperationOf<"takeCompensations">,
): Promise<void> {
  const [tries, aheadMs] = groups(nowMs, longestCompensationPauseMs, kind === "first" ? [0, 0] : [1, MOST_TRIES]);
  const [rows, [next]] = await Promise.all([
    sql.rows<readonly [...CompensationTuple, dueCount: number]>(COMPENSATIONS, [nowMs, tries, aheadMs, limit + MORE, step, leastTried]),
    sql.rows<[number | null]>(NEXT_COMPENSATION, [nowMs, tries, aheadMs, step]),
  ]);
  const records = found(rows).map((row) => compensationRecord(row as unknown as CompensationTuple));
  for (const record of records) tables.compensations.load(record);
  const isSkipping = records.length < limit && (rows[0]?.[9] ?? 0) > records.length;
  tables.compensations.due.set(`${step} ${kind}`, { nextDueMs: next?.[0] ?? undefined, isSkipping });
  await loadAttemptsOf(sql, tables, records);
}

export async function loadDueEvents(
  sql: Sql,
  tables: BatchTables,
  [, nowMs, limit, leastTried, underWay]: OperationOf<"takeEvents">,
  life: number,
): Promise<void> {
  const [tries, aheadMs] = groups(nowMs, longestEventPauseMs, [0, MOST_TRIES]);
  const [rows, [next]] = await Promise.all([
    sql.rows<EventTuple>(EVENTS, [nowMs, tries, aheadMs, limit + MORE, life, underWay, leastTried]),
    sql.rows<[number | null]>(NEXT_EVENT, [nowMs, tries, aheadMs]),
  ]);
  const free = found(rows);
  const isSkipping = free.length < limit && (rows[0]?.[8] ?? 0) > free.length;
  const inOrder = dueOrder(nowMs, leastTried);
  const asDueRow = ([seq, , , , , , tried, nextTryMs]: EventTuple) => ({ id: seq, tries: tried, nextTryMs });
  const sorted = free.toSorted((a, b) => inOrder(asDueRow(a), asDueRow(b)));
  const items = sorted.slice(0, limit).map(event);
  const nextDueMs = isSkipping ? nowMs + AGAIN_MS : (next?.[0] ?? undefined);
  tables.outbox.page = { items, ...(nextDueMs !== undefined && { nextDueMs }) };
}

/** Without the row that only says how many are due. */
function found<Row extends readonly unknown[]>(rows: readonly Row[]): readonly Row[] {
  return rows.filter(([id]) => id !== null);
}

function event([seq, id, orderId, payload, createdMs, expiresMs, tries]: EventTuple): OrderEvent {
  return { seq, id, orderId, payload, createdMs, expiresMs, tries };
}

/** The numbers of tries from one to another, and how far ahead of now each may be dated. */
function groups(nowMs: number, longestPauseMs: (tries: number) => number, [from, upTo]: readonly [number, number]): [number[], number[]] {
  const tries = Array.from({ length: upTo - from + 1 }, (_, index) => from + index);
  return [tries, tries.map((count) => Math.min(NO_LIMIT, nowMs + longestPauseMs(count)))];
}
