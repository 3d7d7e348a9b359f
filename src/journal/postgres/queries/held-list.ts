import type { Cursor, HeldAttempt, Page, RestoreState } from "../../../orders/operator-journal.ts";
import { type HeldFields, heldAttempt, pageOf } from "../../rules/reads.ts";
import { type Sql, statement } from "../sql.ts";
import { Lagging } from "./lagging.ts";

// Attempts that are counted at once: some tens of milliseconds.
const ATTEMPTS_A_COUNT = 2_000;
// More than that take a while to count.
const MAX_AGE_MS = 30_000;

const PAGE = statement("held-attempts")`
    SELECT held.attempt_id, of_attempt.rows, order_id, attempt, amount, accepted_ms, ended_ms, interrupted
    FROM (${heldAttempts("")} LIMIT $2::bigint) held
    CROSS JOIN LATERAL (SELECT * FROM attempts WHERE id = held.attempt_id LIMIT 1) a
    CROSS JOIN LATERAL (
      SELECT json_agg(json_build_array(id, step, tries, last_answer) ORDER BY id)::text AS rows
      FROM compensations WHERE state = 'held' AND attempt_id = held.attempt_id
    ) of_attempt
    ORDER BY held.attempt_id`;

// Each order counts with its first attempt that has something held.
const COUNT = statement("held-count")`
    SELECT max(held.attempt_id), count(*), count(*) FILTER (WHERE is_later IS NULL), sum(compensations)::bigint
    FROM (${heldAttempts(", count(*) AS compensations")} LIMIT $2::bigint) held
    CROSS JOIN LATERAL (SELECT order_id, attempt FROM attempts WHERE id = held.attempt_id LIMIT 1) a
    LEFT JOIN LATERAL (
      SELECT true AS is_later FROM attempts earlier
      CROSS JOIN LATERAL (SELECT 1 FROM compensations WHERE state = 'held' AND attempt_id = earlier.id LIMIT 1) c
      WHERE earlier.order_id = a.order_id AND earlier.attempt < a.attempt LIMIT 1
    ) later ON true`;

const RESTORED = statement("restored")`SELECT restored_ms FROM restores ORDER BY id DESC LIMIT 1`;

function heldAttempts(more: string): string {
  return `
    SELECT attempt_id${more} FROM compensations WHERE state = 'held' AND attempt_id > $1::bigint GROUP BY attempt_id ORDER BY attempt_id`;
}

/** What is held since a restore. */
export class PostgresHeld {
  readonly #sql: Sql;
  readonly #many: Lagging<Count>;

  constructor(sql: Sql) {
    this.#sql = sql;
    this.#many = new Lagging(() => this.#countAll(), MAX_AGE_MS);
  }

  /** Up to 2 000 attempts are counted now. Counts of more may be half a minute old; only the first time they are waited for. */
  async state(): Promise<RestoreState> {
    const [restored] = await this.#sql.rows<[number]>(RESTORED);
    const few = await this.#count(0);
    const { orders, compensations } = few.next === undefined ? few : await this.#many.value();
    return { ...(restored !== undefined && { restoredMs: restored[0] }), orders, compensations };
  }

  async page(cursor: Cursor | undefined, limit: number): Promise<Page<HeldAttempt>> {
    const [after = 0] = cursor ?? [];
    const found = await this.#sql.rows<Row>(PAGE, [after, limit]);
    const items = found.map(([, json, ...fields]) => heldAttempt(fields, JSON.parse(json)));
    return { ...pageOf(found, limit, ([last]) => [last]), items };
  }

  /** In parts, as no statement may take long. */
  async #countAll(): Promise<Count> {
    const all = { orders: 0, compensations: 0 };
    for (let after: number | undefined = 0; after !== undefined; ) {
      const { orders, compensations, next }: Count = await this.#count(after);
      all.orders += orders;
      all.compensations += compensations;
      after = next;
    }
    return all;
  }

  async #count(after: number): Promise<Count> {
    const [row] = await this.#sql.rows<[number | null, number, number, number | null]>(COUNT, [after, ATTEMPTS_A_COUNT]);
    const [last = null, attempts = 0, orders = 0, compensations = null] = row ?? [];
    return { orders, compensations: compensations ?? 0, ...(last !== null && attempts === ATTEMPTS_A_COUNT && { next: last }) };
  }
}

interface Count {
  readonly orders: number;
  readonly compensations: number;
  /** The attempt after which it goes on. */
  readonly next?: number;
}

type Row = [attemptId: number, compensations: string, ...HeldFields];
