import type { DatabaseSync } from "node:sqlite";
import { type HeldFields, heldAttempt, pageOf } from "../../../src/journal/rules/reads.ts";
import type { Cursor, HeldAttempt, Page, RestoreState } from "../../../src/orders/operator-journal.ts";
import type { StepName } from "../../../src/orders/steps.ts";
import { allOf, rowOf } from "../tables/rows.ts";
import type { SqliteTables } from "../tables/tables.ts";
import { RowCount } from "./row-count.ts";

// To count orders is to look at each attempt: some milliseconds' worth.
const ATTEMPTS_A_TURN = 500;

type Held = [id: number, step: StepName, tries: number, lastAnswer: string | null];

/** What is held since a restore. */
export class SqliteHeld {
  readonly #tables: SqliteTables;
  readonly #compensations: RowCount;
  readonly #orders: RowCount;
  readonly #attempt: (id: number) => HeldFields | undefined;
  readonly #of: (attemptId: number) => Held[];
  #counted: { readonly orders: number; readonly compensations: number } | undefined;

  constructor(db: DatabaseSync, tables: SqliteTables) {
    this.#tables = tables;
    const held = "compensations INDEXED BY compensations_held";
    this.#compensations = new RowCount(db, held, "state = 'held'", ["attempt_id", "id"]);
    // Each order counts with its first attempt that has something held, and each attempt with its first row.
    const isFirst = `
      state = 'held'
      AND NOT EXISTS (SELECT 1 FROM ${held} WHERE state = 'held' AND attempt_id = one.attempt_id AND id < one.id)
      AND NOT EXISTS (
        SELECT 1 FROM attempts a CROSS JOIN attempts earlier INDEXED BY attempts_by_order
          ON earlier.order_id = a.order_id AND earlier.attempt < a.attempt
        WHERE a.id = one.attempt_id AND EXISTS (SELECT 1 FROM ${held} WHERE state = 'held' AND attempt_id = earlier.id))`;
    this.#orders = new RowCount(db, "compensations AS one INDEXED BY compensations_held", isFirst, ["attempt_id", "id"], ATTEMPTS_A_TURN);
    this.#attempt = rowOf(db, "SELECT order_id, attempt, amount, accepted_ms, ended_ms, interrupted FROM attempts WHERE id = ?");
    this.#of = allOf(db, `SELECT id, step, tries, last_answer FROM ${held} WHERE state = 'held' AND attempt_id = ? ORDER BY id`);
  }

  /** Other queries may run meanwhile. Rejects with what the database throws. */
  async state(): Promise<RestoreState> {
    const { restoredMs } = this.#tables.restores;
    const compensations = await this.#compensations.read([], [0, 0]);
    // Orders are dear to count. Nothing is held that was not held before, so as many compensations are of the same orders.
    if (compensations !== this.#counted?.compensations) this.#counted = { compensations, orders: await this.#orders.read([], [0, 0]) };
    return { ...(restoredMs !== undefined && { restoredMs }), ...this.#counted };
  }

  page(cursor: Cursor | undefined, limit: number): Page<HeldAttempt> {
    const [after = 0] = (cursor ?? []) as readonly number[];
    const ids = this.#tables.held.attempts(after, limit);
    const items = ids.map((id) => heldAttempt(this.#attempt(id) as HeldFields, this.#of(id)));
    return { ...pageOf(ids, limit, (last) => [last]), items };
  }
}
