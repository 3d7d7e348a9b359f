import type { DatabaseSync } from "node:sqlite";
import { type HeldFields, heldAttempt, pageOf, type Readers } from "../../../src/journal/rules/reads.ts";
import type { StepName } from "../../../src/orders/steps.ts";
import { allOf, rowOf } from "../tables/rows.ts";
import type { SqliteTables } from "../tables/tables.ts";
import { RowCount } from "./row-count.ts";

// To count orders is to look at each attempt: some milliseconds' worth.
const ATTEMPTS_A_TURN = 500;
const HELD = "compensations INDEXED BY compensations_held";

type Held = [id: number, step: StepName, tries: number, lastAnswer: string | null];

/** How much is held since a restore. Other queries may run meanwhile. Rejects with what the database throws. */
export function restoreState(db: DatabaseSync, { restores: { restoredMs } }: SqliteTables): Readers["restore"] {
  const heldCompensations = new RowCount(db, HELD, "state = 'held'", ["attempt_id", "id"]);
  // Each order counts with its first attempt that has something held, and each attempt with its first row.
  const isFirst = `
    state = 'held'
    AND NOT EXISTS (SELECT 1 FROM ${HELD} WHERE state = 'held' AND attempt_id = one.attempt_id AND id < one.id)
    AND NOT EXISTS (
      SELECT 1 FROM attempts a CROSS JOIN attempts earlier INDEXED BY attempts_by_order
        ON earlier.order_id = a.order_id AND earlier.attempt < a.attempt
      WHERE a.id = one.attempt_id AND EXISTS (SELECT 1 FROM ${HELD} WHERE state = 'held' AND attempt_id = earlier.id))`;
  const heldOrders = new RowCount(db, "compensations AS one INDEXED BY compensations_held", isFirst, ["attempt_id", "id"], ATTEMPTS_A_TURN);
  let counted = { orders: 0, compensations: 0 };
  return async () => {
    const compensations = await heldCompensations.read([], [0, 0]);
    // Orders are dear to count. Nothing is held that was not held before, so as many compensations are of the same orders.
    if (compensations !== counted.compensations) counted = { compensations, orders: await heldOrders.read([], [0, 0]) };
    return { ...(restoredMs !== undefined && { restoredMs }), ...counted };
  };
}

/** What is held since a restore, by attempts. */
export function heldList(db: DatabaseSync, { held }: SqliteTables): Readers["heldAttempts"] {
  const attempt = rowOf<[id: number], HeldFields>(
    db,
    "SELECT order_id, attempt, amount, accepted_ms, ended_ms, interrupted FROM attempts WHERE id = ?",
  );
  const rowsOf = allOf<[attemptId: number], Held>(
    db,
    `SELECT id, step, tries, last_answer FROM ${HELD} WHERE state = 'held' AND attempt_id = ? ORDER BY id`,
  );
  return (cursor, limit) => {
    const [after = 0] = (cursor ?? []) as readonly number[];
    const ids = held.attempts(after, limit);
    const items = ids.map((id) => heldAttempt(attempt(id) as HeldFields, rowsOf(id)));
    return { ...pageOf(ids, limit, (last) => [last]), items };
  };
}
