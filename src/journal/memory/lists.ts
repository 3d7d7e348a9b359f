import type { Backlog, CompensationRow, DeadLetter, OrderSummary, Page, Waiting } from "../../orders/operator-journal.ts";
import { perStep } from "../../orders/steps.ts";
import type { EndedFilter, OrderParts, RunningFields, Scanned } from "../rules/order-pages.ts";
import { endedOrder, pageOf, type Readers } from "../rules/reads.ts";
import type { EndedAttempt, OpenAttempt } from "../rules/tables.ts";
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
    const { attempts, open } = this.#tables;
    const isAsked = (orderId: string, [attempt, , atMs]: OpenAttempt) =>
      atMs >= sinceMs &&
      atMs < untilMs &&
      (atMs < beforeMs || (atMs === beforeMs && orderId > afterId)) &&
      // One that has ended is open until its answer is stored.
      attempts.one(orderId, attempt) === undefined;
    const running = [...open.rows].filter(([orderId, row]) => isAsked(orderId, row));
    running.sort(([a, [, , aMs]], [b, [, , bMs]]) => bMs - aMs || (a < b ? -1 : 1));
    return running.slice(0, limit).map(([orderId, row]) => [orderId, ...row]);
  }

  *ended(filter: EndedFilter, beforeId = Number.MAX_SAFE_INTEGER): Iterable<Scanned> {
    for (const { orderId, row } of this.#tables.attempts.newest(beforeId))
      yield { order: this.#show(orderId, row, filter), next: [row[0]] };
  }

  /** Undefined for what the list leaves out. */
  #show(orderId: string, row: EndedAttempt, { status, sinceMs, untilMs, beganMs }: EndedFilter): OrderSummary | undefined {
    const [id, attempt, amount, acceptedMs, endedMs, error] = row;
    if (endedMs < sinceMs || endedMs >= untilMs || this.#isSuperseded(orderId, attempt, beganMs)) return undefined;
    const order = endedOrder([orderId, attempt, amount, acceptedMs, endedMs, error], this.#tables.compensations.isAnyOpen(id));
    return status === null || status === order.status || (status === "error" && order.error !== undefined) ? order : undefined;
  }

  #isSuperseded(orderId: string, attempt: number, beganMs: number): boolean {
    const { attempts, open } = this.#tables;
    const [running = 0, , acceptedMs = 0] = open.get(orderId) ?? [];
    if (running > attempt && acceptedMs < beganMs) return true;
    return attempts.after(orderId, attempt).some((row) => row[3] < beganMs);
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
