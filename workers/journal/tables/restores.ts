import type { DatabaseSync } from "node:sqlite";
import { firstIdAfterRestore } from "../../../src/journal/rules/restores.ts";
import type { RestoresTable } from "../../../src/journal/rules/tables.ts";
import { allOf, fieldOf } from "./rows.ts";

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
