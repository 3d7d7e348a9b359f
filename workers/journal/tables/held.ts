import type { DatabaseSync } from "node:sqlite";
import type { HeldTable } from "../../../src/journal/rules/tables.ts";
import { stateChange } from "../../../src/journal/sql/state-change.ts";
import { allOf, changeOf, fieldOf } from "./rows.ts";

const HELD = "compensations INDEXED BY compensations_held WHERE state = 'held'";

/** Compensations that are held since a restore. Where nothing is, nothing will be while this connection is open: orders do not look then. */
export function heldCompensations(db: DatabaseSync): HeldTable {
  const isPossible = fieldOf(db, `SELECT 1 FROM ${HELD} LIMIT 1`)() !== undefined;
  const some = fieldOf(db, `SELECT 1 FROM ${HELD} AND attempt_id = ? LIMIT 1`);
  const attempts = allOf<[after: number, limit: number], [id: number]>(
    db,
    `SELECT DISTINCT attempt_id FROM ${HELD} AND attempt_id > ? ORDER BY attempt_id LIMIT ?`,
  );
  const attemptsAt = allOf<[orderId: string, limit: number], [id: number]>(
    db,
    `SELECT a.id FROM attempts a INDEXED BY attempts_by_order
     WHERE order_id = ? AND EXISTS (SELECT 1 FROM ${HELD} AND attempt_id = a.id) ORDER BY attempt LIMIT ?`,
  );
  return {
    isAny: (attemptId) => isPossible && some(attemptId) !== undefined,
    attempts: (after, limit) => attempts(after, limit).map(([id]) => id),
    attemptsAt: (orderId, limit) => attemptsAt(orderId, limit).map(([id]) => id),
    confirm: changeOf(db, stateChange("confirmed", "next_try_ms = ?2", "attempt_id = ?1")),
  };
}

/** Holds all that is open. */
export function hold(db: DatabaseSync): void {
  db.exec(stateChange("restored", "next_try_ms = NULL", "ended_ms IS NULL"));
}
