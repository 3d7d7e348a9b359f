import type { DatabaseSync } from "node:sqlite";
import type { AttemptsTable } from "../../../src/journal/rules/tables.ts";
import { allOf, changeOf, insertOf, rowOf } from "./rows.ts";

/** Ids in one row of `attempt_blocks`, as the migrations have it. */
export const BLOCK_IDS = 1_024;

/** Attempts that have ended. `firstId`: no row is given an id below this; the first of a block. */
export function attempts(db: DatabaseSync, firstId: number): AttemptsTable {
  const from = "SELECT id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answered, answer FROM attempts WHERE order_id = ?";
  const byId = db.prepare(
    "SELECT order_id AS orderId, amount, attempt, error, interrupted, ended_ms AS endedMs FROM attempts WHERE id = ?",
  );
  const answer = changeOf(db, "UPDATE attempts SET answered = ?3, answer = ?4 WHERE order_id = ?1 AND attempt = ?2");
  const insert = insertOf<Parameters<AttemptsTable["add"]>>(
    db,
    "INSERT INTO attempts (order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answered, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
  );
  const move = changeOf(db, "UPDATE attempts SET id = ? WHERE id = ?");
  const describeBlocks = changeOf(
    db,
    `INSERT OR REPLACE INTO attempt_blocks
     SELECT id / ${BLOCK_IDS} * ${BLOCK_IDS} AS block, min(ended_ms), max(ended_ms) FROM attempts WHERE id >= ? - ${BLOCK_IDS} GROUP BY block`,
  );
  /** Gives the first row since a restore its id, and describes the block that is the last one before. */
  const jump = (given: number) => {
    move(firstId, given);
    describeBlocks((Math.floor((given - 1) / BLOCK_IDS) + 1) * BLOCK_IDS);
    return firstId;
  };
  return {
    one: rowOf(db, `${from} AND attempt = ?`),
    latest: rowOf(db, `${from} ORDER BY attempt DESC LIMIT 1`),
    byId: (id) => byId.get(id) as never,
    before: allOf(db, `${from} AND attempt < ? ORDER BY attempt DESC LIMIT ?`),
    add: (...row) => {
      const given = insert(...row);
      const id = given < firstId ? jump(given) : given;
      // The block before is full. A rollback takes both with it.
      if (id % BLOCK_IDS === 0) describeBlocks(id);
      return id;
    },
    answer: (...row) => answer(...row) === 1,
    told: changeOf(db, "UPDATE attempts SET interrupted = 1 WHERE id = ?"),
    failedBefore: allOf(
      db,
      `SELECT id, order_id, attempt, ended_ms FROM attempts INDEXED BY attempts_failed
       WHERE error IS NOT NULL AND ended_ms < ? AND (ended_ms, id) > (?, ?) ORDER BY ended_ms, id LIMIT ?`,
    ),
    remove: changeOf(db, "DELETE FROM attempts WHERE id = ?"),
  };
}
