import type { DatabaseSync } from "node:sqlite";
import { longestCompensationPauseMs } from "../../../src/journal/rules/due.ts";
import { type CompensationFields, type CompensationsTable, compensationRow } from "../../../src/journal/rules/tables.ts";
import { stateChange } from "../../../src/journal/sql/state-change.ts";
import type { CompensationStatus, Transition } from "../../../src/orders/compensation-state.ts";
import type { CompensationRow } from "../../../src/orders/operator-journal.ts";
import type { StepName } from "../../../src/orders/steps.ts";
import { dueRows } from "./due-rows.ts";
import { allOf, changeOf, fieldOf, insertOf, rowOf } from "./rows.ts";

const TRIES = { first: { from: 0, upTo: 0 }, again: { from: 1, upTo: Number.MAX_SAFE_INTEGER - 1 } };

/** Steps of failed attempts that have to be compensated or have been. */
export function compensations(db: DatabaseSync): CompensationsTable {
  const change = (transition: Transition, more: string, which = "id = ?1") => changeOf(db, stateChange(transition, more, which));
  const add = insertOf(db, "INSERT INTO compensations (attempt_id, step, state, tries, next_try_ms) VALUES (?, ?, ?, 0, ?)");
  const take = change("taken", "next_try_ms = NULL");
  const done = change("done", "tries = tries + 1, last_answer = NULL, ended_ms = ?2");
  const failed = change("failed", "tries = tries + 1, next_try_ms = ?2, last_answer = ?3");
  const settle = change("settled", "next_try_ms = NULL, ended_ms = ?3, note = ?2");
  const answeredLate = changeOf(db, "UPDATE compensations SET last_answer = ?2 WHERE id = ?1");
  const fields = rowOf<[id: number], CompensationFields>(
    db,
    `SELECT c.id, order_id, attempt, step, amount, a.ended_ms, state, tries, next_try_ms, last_answer, c.ended_ms, note
     FROM compensations c CROSS JOIN attempts a ON a.id = attempt_id WHERE c.id = ?`,
  );
  const attemptOf = fieldOf<number>(db, "SELECT attempt_id FROM compensations WHERE id = ?");
  const of = allOf<[attemptId: number], [StepName, number, CompensationStatus]>(
    db,
    "SELECT step, tries, state FROM compensations WHERE attempt_id = ? ORDER BY id",
  );
  const open = fieldOf(db, "SELECT 1 FROM compensations WHERE attempt_id = ? AND ifnull(ended_ms >= ?, true) LIMIT 1");
  const dueIds = dueRows(db, {
    table: "compensations",
    id: "id",
    index: "compensations_due",
    where: "step = ? AND state = 'pending'",
    longestPauseMs: longestCompensationPauseMs,
  });
  const row = (id: number): CompensationRow | null => {
    const found = fields(id);
    return found === undefined ? null : compensationRow(found);
  };
  return {
    add: (attemptId, step, status, nowMs) => add(attemptId, step, status, status === "pending" ? nowMs : null),
    take,
    takeDue: (step, kind, nowMs, limit, leastTried) => {
      const { ids, ...next } = dueIds({ parameters: [step], tries: TRIES[kind], nowMs, limit, leastTried, except: [] });
      const items = ids.map((id) => row(id) as CompensationRow);
      for (const id of ids) take(id);
      return { items: items.map(({ id, orderId, attempt, amount, tries }) => ({ id, orderId, attempt, amount, step, tries })), ...next };
    },
    tried: (id, nextTryMs, lastAnswer, nowMs) => (nextTryMs === null ? done(id, nowMs) : failed(id, nextTryMs, lastAnswer)) === 1,
    interrupt: change("interrupted", "next_try_ms = ?", "ended_ms IS NULL"),
    answeredLate,
    settle: (...settled) => settle(...settled) === 1,
    row,
    attemptOf: (id) => attemptOf(id) as number,
    of: (attemptId) => of(attemptId).map(([step, tries, status]) => ({ step, tries, status })),
    isAnyOpen: (attemptId, atMs = Number.MAX_SAFE_INTEGER) => open(attemptId, atMs) !== undefined,
    remove: changeOf(db, "DELETE FROM compensations WHERE attempt_id = ?"),
  };
}
