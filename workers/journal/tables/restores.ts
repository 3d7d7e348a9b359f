import type { DatabaseSync } from "node:sqlite";
import { firstIdAfterRestore } from "../../../src/journal/rules/restores.ts";
import type { HeldTable, RestoresTable } from "../../../src/journal/rules/tables.ts";
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

const NUMBERED = ["compensations", "outbox", "operator_actions"];

export interface Restores extends RestoresTable {
  /** Wall clock, of the last time; undefined for a journal that was never restored. */
  readonly restoredMs: number | undefined;
}

/** The times that this journal was made of a backup. */
export function restoresOf(db: DatabaseSync): Restores {
  const restores = allOf<[], [firstId: number, restoredMs: number]>(db, "SELECT first_id, restored_ms FROM restores ORDER BY id DESC")();
  return { firstIds: restores.map(([firstId]) => firstId), restoredMs: restores[0]?.[1] };
}

/** Notes a restore: ids of rows and numbers of attempts go on from a first id of its own. */
export function addRestore(db: DatabaseSync, nowMs: number): void {
  const highest = fieldOf<number>(
    db,
    `SELECT max(id) FROM (SELECT max(first_id) AS id FROM restores UNION ALL SELECT max(id) FROM attempts
       UNION ALL SELECT seq FROM sqlite_sequence WHERE name IN ('${NUMBERED.join("', '")}'))`,
  )();
  const firstId = firstIdAfterRestore(highest ?? 0, nowMs);
  db.prepare("INSERT INTO restores (restored_ms, first_id) VALUES (?, ?)").run(nowMs, firstId);
  for (const table of NUMBERED) {
    db.prepare("DELETE FROM sqlite_sequence WHERE name = ?").run(table);
    db.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)").run(table, firstId - 1);
  }
}
