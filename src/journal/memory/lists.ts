import type { Backlog, CompensationRow, DeadLetter, OrderSummary, Page, WaitingCount } from "../../orders/operator-journal.ts";
import { perStep } from "../../orders/steps.ts";
import type { EndedFilter, OrderParts, RunningFields, Scanned } from "../rules/order-pages.ts";
import { endedOrder, pageOf, type Readers } from "../rules/reads.ts";
import { type AttemptRecord, byBytes } from "./attempts.ts";
import type { MemoryTables } from "./memory-tables.ts";

// Rows that one page may look at, where most are not what it shows: about a millisecond of the main thread.
export const MAX_SCANNED = 5_000;

type Asked<Name extends keyof Readers> = [tables: MemoryTables, ...Parameters<Readers[Name]>];

/** The parts of the list of orders. */
export class MemoryOrders implements OrderParts {
  readonly #tables: MemoryTables;

  constructor(tables: MemoryTables) {
    this.#tables = tables;
  }

  running(sinceMs: number, untilMs: number, beforeMs: number, afterId: string, limit: number): RunningFields[] {
    const found = this.#tables.attempts.running.filter(
      ({ orderId, acceptedMs: atMs }) =>
        atMs >= sinceMs && atMs < untilMs && (atMs < beforeMs || (atMs === beforeMs && byBytes(orderId, afterId) > 0)),
    );
    const sorted = [...found].sort((a, b) => b.acceptedMs - a.acceptedMs || byBytes(a.orderId, b.orderId));
    return sorted.slice(0, limit).map(({ orderId, attempt, amount, acceptedMs }) => [orderId, attempt, amount, acceptedMs]);
  }

  *ended(filter: EndedFilter, beforeId = Number.MAX_SAFE_INTEGER): Iterable<Scanned> {
    for (const row of this.#tables.attempts.newest(beforeId)) yield { order: this.#show(row, filter), next: [row.id as number] };
  }

  /** Undefined for what the list leaves out. */
  #show(row: AttemptRecord, { status, sinceMs, untilMs, beganMs }: EndedFilter): OrderSummary | undefined {
    const { id = 0, orderId, attempt, amount, acceptedMs, endedMs, error } = row;
    if (endedMs === null || endedMs < sinceMs || endedMs >= untilMs) return undefined;
    if (this.#tables.attempts.isSuperseded(row, beganMs)) return undefined;
    const order = endedOrder([orderId, attempt, amount, acceptedMs, endedMs, error], this.#tables.compensations.isAnyOpen(id));
    return status === null || status === order.status || (status === "error" && order.error !== undefined) ? order : undefined;
  }
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
  const compensations = perStep((): WaitingCount => ({ count: 0 }));
  for (const { step, sinceMs } of tables.compensations.all(0, ({ endedMs }) => endedMs === null)) {
    const { count, sinceMs: oldestMs = sinceMs } = compensations[step];
    compensations[step] = { count: count + 1, sinceMs: Math.min(oldestMs, sinceMs) };
  }
  return { compensations, events: tables.outbox.waiting, deadLetters: tables.outbox.deadLetters.size, bytes: 0 };
}

/** When something ended last before a time; null where nothing did, among the newest. */
export function lastEndBefore(tables: MemoryTables, ms: number): number | null {
  const newest = Iterator.from(tables.attempts.newest(Number.MAX_SAFE_INTEGER)).take(MAX_SCANNED);
  const ends = [...newest.map(({ endedMs }) => endedMs ?? 0), ...tables.outbox.deadLetters.values().map(({ givenUpMs }) => givenUpMs)];
  return ends.reduce<number | null>((last, end) => (end < ms ? Math.max(last ?? 0, end) : last), null);
}
