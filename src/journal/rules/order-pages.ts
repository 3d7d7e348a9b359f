import type { Cursor, OrderStatus, OrderSummary, Page } from "../../orders/operator-journal.ts";
import { runningOrder } from "./reads.ts";

// Which part of the list a cursor is in.
const RUNNING = 0;
const ENDED = 1;
const FIRST = Number.MAX_SAFE_INTEGER;

export type RunningFields = readonly [orderId: string, attempt: number, amount: number, acceptedMs: number];

/** What a list of orders shows of those that have ended. */
export interface EndedFilter {
  readonly status: Exclude<OrderStatus, "running"> | null;
  readonly sinceMs: number;
  readonly untilMs: number;
  /**
   * When the first page was read. An attempt accepted since does not supersede the one before: it stands at the head of the list, which the
   * pages have passed.
   */
  readonly beganMs: number;
}

/** A row that was looked at, and where the list goes on after it. */
export interface Scanned {
  /** Undefined for what the list leaves out. */
  readonly order: OrderSummary | undefined;
  readonly next: readonly number[];
}

/** The two parts of the list, in a store that nothing changes while one page is read. */
export interface OrderParts {
  /** Up to `limit` that run, by when they were accepted, the newest first, and those of one moment by their ids. After a place. */
  running(sinceMs: number, untilMs: number, acceptedMs: number, orderId: string, limit: number): readonly RunningFields[];
  /** After the place of one that was looked at; without one: from the newest. */
  ended(filter: EndedFilter, ...place: readonly number[]): Iterable<Scanned>;
}

/** A page of orders by their latest attempt, newest first: those that run, then by when they ended. It looks at `maxScanned` ended ones. */
export function ordersPage(
  parts: OrderParts,
  maxScanned: number,
  status: OrderStatus | null,
  sinceMs: number,
  untilMs: number,
  cursor: Cursor | undefined,
  limit: number,
): Page<OrderSummary> {
  const [part = RUNNING, beganMs = FIRST, ...place] = (cursor ?? []) as readonly number[];
  const beganForNextMs = cursor === undefined ? Date.now() : beganMs;
  const items: OrderSummary[] = [];
  if (part === RUNNING && (status === null || status === "running")) {
    const [acceptedMs = FIRST, orderId = ""] = place as readonly (number | string)[] as readonly [number?, string?];
    const found = parts.running(sinceMs, untilMs, acceptedMs, orderId, limit);
    items.push(...found.map((row) => runningOrder(...row)));
    const last = found.at(-1);
    if (last !== undefined && found.length === limit) return { items, next: [RUNNING, beganForNextMs, last[3], last[0]] };
  }
  if (status === "running") return { items };
  let scanned = 0;
  for (const { order, next } of parts.ended({ status, sinceMs, untilMs, beganMs }, ...(part === ENDED ? place : []))) {
    scanned++;
    if (order !== undefined) items.push(order);
    if (items.length === limit || scanned === maxScanned) return { items, next: [ENDED, beganForNextMs, ...next] };
  }
  return { items };
}
