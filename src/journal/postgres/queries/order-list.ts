import type { Cursor, OrderStatus, OrderSummary, Page } from "../../../orders/operator-journal.ts";
import { endedOrder, runningOrder } from "../../rules/reads.ts";
import { type Sql, statement } from "../sql.ts";
import { ENDED, type ScanEnd, type Shown } from "./ended-orders.ts";
import { idAtTime } from "./last-end.ts";

// Which part of the list a cursor is in.
const RUNNING = 0;
const ENDED_PART = 1;
const FIRST = Number.MAX_SAFE_INTEGER;
// The clocks of the nodes differ by less, and no attempt runs for longer. Where a clock was set by more, only as many rows as one page looks at
// are sure to be found by the time at which they ended.
const CLOCKS_MS = 5 * 60 * 1000;
// Attempts with ids that are lower by this were stored long before. Of those that are not, the number of the transaction says it; it is of no use
// for all of them, because these numbers come again.
const RECENT_IDS = 1_000_000;

/**
 * When the first page was read: attempts with ids from `recentId` on were there if their transaction is before `next` and none of those `underWay`.
 * One that was stored since then does not take the place of the order's one before: it stands at the head of the list, where the pages have
 * passed already, so the order would be on none of them.
 */
type Beginning = readonly [recentId: number, next: string, underWay: string];

// No id is recent, so the rest decides nothing.
const NOW: Beginning = [FIRST, "3", "{}"];

interface Filter {
  readonly status: OrderStatus | null;
  readonly sinceMs: number;
  readonly untilMs: number;
}

const BEGINNING = statement("orders-beginning")`
    SELECT coalesce((SELECT max(id) FROM attempts), 0) - ${RECENT_IDS}, pg_snapshot_xmax(snapshot)::xid::text,
      ARRAY(SELECT under_way::xid FROM pg_snapshot_xip(snapshot) under_way)::text
    FROM pg_current_snapshot() snapshot`;

// What runs is little, so it is sorted as a whole. Ids are compared outside: inside, the planner could take the index of all attempts for that.
// An attempt that has ended is open until its answer is stored.
const RUNNING_ORDERS = statement("orders-running")`
    WITH open AS MATERIALIZED (
      SELECT id, order_id, attempt, amount, accepted_ms FROM attempts
      WHERE open_by IS NOT NULL AND ended_ms IS NULL AND accepted_ms >= $2::bigint AND accepted_ms < $3::bigint
    )
    SELECT * FROM open WHERE id < $1::bigint ORDER BY id DESC LIMIT $4::bigint`;

/** Orders by their latest attempt, newest first: those that run, then those that have ended, by acceptance. Failed ones by when they ended. */
export class PostgresOrders {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  async page(
    status: OrderStatus | null,
    sinceMs: number,
    untilMs: number,
    cursor: Cursor | undefined,
    limit: number,
  ): Promise<Page<OrderSummary>> {
    const filter = { status, sinceMs, untilMs };
    const [part, beginning, from] = placeOf(cursor);
    // Before the first page: what is stored between the two must not hide what that page does not show.
    const begun = cursor === undefined ? ((await this.#sql.rows<Beginning>(BEGINNING))[0] ?? NOW) : beginning;
    const at = (place: number, ...key: readonly number[]): Cursor => [place, ...begun, ...key];
    const items: OrderSummary[] = [];
    if (part === RUNNING && (status === null || status === "running")) {
      const found = await this.#sql.rows<Running>(RUNNING_ORDERS, [from[0] ?? FIRST, sinceMs, untilMs, limit]);
      items.push(...found.map(([, ...row]) => runningOrder(...row)));
      const last = found.at(-1);
      if (last !== undefined && found.length === limit) return { items, next: at(RUNNING, last[0]) };
    }
    if (status === "running") return { items };
    // In a statement of its own, after that of what runs: an attempt that ends between the two may come twice, but is not missed.
    const place = part === ENDED_PART ? from : [];
    const ended = await this.#ended(filter, place, beginning, limit - items.length);
    return { items: [...items, ...ended.items], ...(ended.next !== undefined && { next: at(ENDED_PART, ...ended.next) }) };
  }

  /** Next: the place after which the list goes on. */
  async #ended({ status, sinceMs, untilMs }: Filter, from: readonly number[], beginning: Beginning, limit: number): Promise<Ended> {
    const list = status === null || status === "running" ? "all" : status;
    const [key = FIRST, id = FIRST] = from.length === 0 && list === "error" ? [untilMs, 0] : from;
    const found = await this.#sql.rows<Shown | ScanEnd>(ENDED[list], [key, id, sinceMs, untilMs, limit, ...beginning]);
    const last = found.at(-1);
    if (last === undefined) return { items: [] };
    const shown = found.filter((row) => row[2] !== null);
    const items = shown.map(([, , orderId, attempt, amount, acceptedMs, endedMs, error, isOpen]) =>
      endedOrder([orderId, attempt, amount, acceptedMs, endedMs, error], isOpen),
    );
    if (last[2] !== null) return { items, ...(items.length === limit && { next: last.slice(0, 2) as number[] }) };
    const [lastKey, lastId, , , , firstEndedMs, lastEndedMs] = last;
    if (lastEndedMs !== null && lastEndedMs < sinceMs - CLOCKS_MS) return { items };
    const isAfter = list !== "compensating" && firstEndedMs !== null && firstEndedMs > untilMs + CLOCKS_MS;
    const next = isAfter ? await idAtTime(this.#sql, lastId, untilMs + CLOCKS_MS) : lastKey;
    return { items, next: [next, isAfter ? next : lastId] };
  }
}

function placeOf(cursor: Cursor | undefined): readonly [part: number, Beginning, from: readonly number[]] {
  if (cursor === undefined) return [RUNNING, NOW, []];
  const [part, recentId, next, underWay, ...from] = cursor as readonly [number, ...Beginning, ...number[]];
  return [part, [recentId, next, underWay], from];
}

interface Ended {
  readonly items: readonly OrderSummary[];
  readonly next?: readonly number[];
}

type Running = [id: number, orderId: string, attempt: number, amount: number, acceptedMs: number];
