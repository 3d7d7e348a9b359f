import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { EndedFilter, OrderParts, RunningFields, Scanned } from "../../../src/journal/rules/order-pages.ts";
import { type EndedFields, endedOrder } from "../../../src/journal/rules/reads.ts";
import { OPEN_STATES } from "../../../src/orders/compensation-state.ts";
import type { OrderSummary } from "../../../src/orders/operator-journal.ts";
import { BLOCK_IDS } from "../tables/attempts.ts";
import { rows } from "../tables/rows.ts";
import { openById } from "./compensation-list.ts";

// Rows that one page may look at to find what it shows, where most are of another status or not an order's latest attempt: up to
// twenty milliseconds. The next page goes on from there.
export const MAX_SCANNED = 2_000;
// Attempts have their ids in the order in which they ended, but for what a step of the clock mixes up.
const CLOCK_STEP_MS = 60 * 60 * 1000;
const FIRST = Number.MAX_SAFE_INTEGER;

type Ended = [id: number, ...EndedFields];
type Standing = [isSuperseded: number, isPending: number];

/** The parts of the list of orders. */
export class SqliteOrders implements OrderParts {
  readonly #running: StatementSync;
  readonly #all: StatementSync;
  readonly #failed: StatementSync;
  readonly #pending: StatementSync;
  readonly #attempt: StatementSync;
  readonly #standing: StatementSync;

  constructor(db: DatabaseSync) {
    // The table of what runs is small, so it is sorted as a whole. An attempt that has ended is in it until its answer is stored.
    this.#running = rows(
      db,
      `SELECT order_id, attempt, amount, accepted_ms FROM open_attempts
       WHERE accepted_ms >= ?1 AND accepted_ms < ?2 AND (accepted_ms < ?3 OR (accepted_ms = ?3 AND order_id > ?4))
         AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.order_id = open_attempts.order_id AND a.attempt = open_attempts.attempt)
       ORDER BY accepted_ms DESC, order_id LIMIT ?5`,
    );
    const columns = "id, order_id, attempt, amount, accepted_ms, ended_ms, error";
    // Newest by id: in the order in which they ended, whatever the clock did. The newest block has attempts that its row does not cover.
    this.#all = rows(
      db,
      `SELECT ${columns} FROM attempt_blocks CROSS JOIN attempts ON id BETWEEN first_id AND first_id + ${BLOCK_IDS - 1}
       WHERE first_id < ?3 AND id < ?3 AND ended_ms >= ?1 AND ended_ms < ?2
         AND (min_ended_ms < ?2 AND max_ended_ms >= ?1 OR first_id > (SELECT max(id) FROM attempts) - ${BLOCK_IDS})
       ORDER BY first_id DESC, id DESC LIMIT ${MAX_SCANNED}`,
    );
    // The cursor is the only upper bound: beside a second one the index would be read from that.
    this.#failed = rows(
      db,
      `SELECT ${columns} FROM attempts INDEXED BY attempts_failed WHERE error IS NOT NULL AND ended_ms >= ?1 AND (ended_ms, id) < (?2, ?3)
       ORDER BY ended_ms DESC, id DESC LIMIT ${MAX_SCANNED}`,
    );
    this.#pending = rows(db, openById("id, attempt_id", "falling", OPEN_STATES));
    this.#attempt = rows(db, `SELECT ${columns} FROM attempts WHERE id = ?`);
    this.#standing = rows(
      db,
      `SELECT
         EXISTS (SELECT 1 FROM attempts WHERE order_id = ?1 AND attempt > ?2 AND accepted_ms < ?3)
           OR EXISTS (SELECT 1 FROM open_attempts WHERE order_id = ?1 AND attempt > ?2 AND accepted_ms < ?3),
         EXISTS (SELECT 1 FROM compensations WHERE attempt_id = ?4 AND ended_ms IS NULL)`,
    );
  }

  running(...asked: Parameters<OrderParts["running"]>): RunningFields[] {
    return this.#running.all(...asked) as unknown as RunningFields[];
  }

  ended(filter: EndedFilter, ...place: readonly number[]): Iterable<Scanned> {
    return filter.status === "compensating" ? this.#fromPending(filter, ...place) : this.#fromAttempts(filter, ...place);
  }

  /** Next: the attempt's end and id. */
  *#fromAttempts(filter: EndedFilter, first = FIRST, id = FIRST): Iterable<Scanned> {
    const { status, sinceMs, untilMs } = filter;
    const found =
      status === "error"
        ? this.#failed.iterate(sinceMs, ...(first < untilMs ? [first, id] : [untilMs, 0]))
        : this.#all.iterate(sinceMs, untilMs, id);
    for (const row of found as Iterable<unknown> as Iterable<Ended>) yield { order: this.#show(row, filter), next: [row[5], row[0]] };
  }

  /** Next: the compensation's id and that of its attempt. The compensations of an attempt lie side by side. */
  *#fromPending(filter: EndedFilter, first = FIRST, lastAttempt = 0): Iterable<Scanned> {
    let attemptBefore = lastAttempt;
    for (const [id, attemptId] of this.#pending.iterate(first, MAX_SCANNED) as Iterable<unknown> as Iterable<[number, number]>) {
      const row = attemptId === attemptBefore ? undefined : (this.#attempt.get(attemptId) as unknown as Ended | undefined);
      attemptBefore = attemptId;
      if (row !== undefined && row[5] < filter.sinceMs - CLOCK_STEP_MS) return;
      const isIn = row !== undefined && row[5] >= filter.sinceMs && row[5] < filter.untilMs;
      yield { order: isIn ? this.#show(row, filter) : undefined, next: [id, attemptId] };
    }
  }

  /** Undefined for what the list leaves out. */
  #show([id, ...fields]: Ended, { status, beganMs }: EndedFilter): OrderSummary | undefined {
    const [orderId, attempt, , , , error] = fields;
    if (status !== null && (status === "ok") !== (error === null)) return undefined;
    const [isSuperseded, isPending] = this.#standing.get(orderId, attempt, beganMs, id) as unknown as Standing;
    return isSuperseded === 1 ? undefined : endedOrder(fields, isPending === 1);
  }
}
