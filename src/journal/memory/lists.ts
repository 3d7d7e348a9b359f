import type { Backlog, CompensationRow, DeadLetter, OrderStatus, OrderSummary, Page, Waiting } from "../../orders/operator-journal.ts";
import { perStep } from "../../orders/steps.ts";
import { endedOrder, pageOf, type Readers, runningOrder } from "../rules/reads.ts";
import type { EndedAttempt } from "../rules/tables.ts";
import type { MemoryTables } from "./memory-tables.ts";

// Rows that one page may look at, where most are not what it shows: about a millisecond of the main thread.
const MAX_SCANNED = 5_000;
// Which part of the list of orders a cursor is in.
const RUNNING = 0;
const ENDED = 1;

type Asked<Name extends keyof Readers> = [tables: MemoryTables, ...Parameters<Readers[Name]>];

/** Orders by their latest attempt, newest first: those that run, then by when they ended. */
export function ordersPage(...[tables, status, sinceMs, untilMs, cursor, limit]: Asked<"orders">): Page<OrderSummary> {
  const [part = RUNNING, from = Number.MAX_SAFE_INTEGER] = (cursor ?? []) as readonly number[];
  const isIn = (ms: number) => ms >= sinceMs && ms < untilMs;
  if (part === RUNNING && (status === null || status === "running")) {
    const isRunning = (orderId: string, attempt: number) => tables.attempts.one(orderId, attempt) === undefined;
    const running = [...tables.open.rows]
      .filter(([orderId, [attempt, , acceptedMs]]) => isIn(acceptedMs) && isRunning(orderId, attempt))
      .sort(([a, [, , aMs]], [b, [, , bMs]]) => bMs - aMs || (a < b ? -1 : 1));
    const skipped = cursor === null ? 0 : from;
    const shown = running.slice(skipped, skipped + limit).map(([orderId, row]) => runningOrder(orderId, ...row));
    if (shown.length === limit) return { items: shown, next: [RUNNING, skipped + limit] };
    if (status === "running") return { items: shown };
    const rest = endedPage(tables, status, isIn, Number.MAX_SAFE_INTEGER, limit - shown.length);
    return { ...rest, items: [...shown, ...rest.items] };
  }
  return status === "running" ? { items: [] } : endedPage(tables, status, isIn, part === ENDED ? from : Number.MAX_SAFE_INTEGER, limit);
}

function endedPage(
  tables: MemoryTables,
  status: Exclude<OrderStatus, "running"> | null,
  isIn: (ms: number) => boolean,
  beforeId: number,
  limit: number,
): Page<OrderSummary> {
  const items: OrderSummary[] = [];
  let scanned = 0;
  for (const { orderId, row } of tables.attempts.newest(beforeId)) {
    scanned++;
    const order = isIn(row[4]) ? latestOrder(tables, orderId, row) : undefined;
    if (order !== undefined && (status === null || status === order.status || (status === "error" && order.error !== undefined)))
      items.push(order);
    if (items.length === limit || scanned === MAX_SCANNED) return { items, next: [ENDED, row[0]] };
  }
  return { items };
}

/** Undefined for an attempt that is not its order's latest. */
function latestOrder(
  tables: MemoryTables,
  orderId: string,
  [id, attempt, amount, acceptedMs, endedMs, error]: EndedAttempt,
): OrderSummary | undefined {
  const isSuperseded = (tables.open.get(orderId)?.[0] ?? attempt) !== attempt;
  if (isSuperseded || tables.attempts.latest(orderId)?.[1] !== attempt) return undefined;
  return endedOrder([orderId, attempt, amount, acceptedMs, endedMs, error], tables.compensations.isAnyOpen(id));
}

/** Oldest first. */
export function compensationsPage(...[tables, status, cursor, limit]: Asked<"compensations">): Page<CompensationRow> {
  const [after = 0] = (cursor ?? []) as readonly number[];
  const found = tables.compensations.all(after, (row) => row.status === status);
  return pageOf(found.take(limit).toArray(), limit, ({ id }) => [id]);
}

/** In the order in which they were written. */
export function deadLettersPage(...[tables, cursor, limit]: Asked<"deadLetters">): Page<DeadLetter> {
  const [after = 0] = (cursor ?? []) as readonly number[];
  const letters = [...tables.outbox.deadLetters.values()].filter(({ seq }) => seq > after).sort((a, b) => a.seq - b.seq);
  return pageOf(letters.slice(0, limit), limit, ({ seq }) => [seq]);
}

/** Counts and ages of what waits. */
export function backlog(tables: MemoryTables): Backlog {
  const compensations = perStep((): Waiting => ({ count: 0 }));
  for (const { step, sinceMs } of tables.compensations.all(0, ({ endedMs }) => endedMs === null)) {
    const { count, sinceMs: oldestMs = sinceMs } = compensations[step];
    compensations[step] = { count: count + 1, sinceMs: Math.min(oldestMs, sinceMs) };
  }
  return { compensations, events: tables.outbox.waiting, deadLetters: tables.outbox.deadLetters.size, bytes: 0 };
}

/** When something ended last before a time; null where nothing did, among the newest. */
export function lastEndBefore(tables: MemoryTables, ms: number): number | null {
  const newest = Iterator.from(tables.attempts.newest(Number.MAX_SAFE_INTEGER)).take(MAX_SCANNED);
  const ends = [...newest.map(({ row }) => row[4]), ...tables.outbox.deadLetters.values().map(({ givenUpMs }) => givenUpMs)];
  return ends.reduce<number | null>((last, end) => (end < ms ? Math.max(last ?? 0, end) : last), null);
}
