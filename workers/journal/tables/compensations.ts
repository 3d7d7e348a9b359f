import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { CompensationRow } from "../../../src/orders/operator-journal.ts";
import type { Compensation, CompensationState } from "../../../src/orders/order-journal.ts";
import type { StepName } from "../../../src/orders/steps.ts";
import type { DuePage } from "../../../src/retries/retry-queue.ts";
import { dueRanges } from "./due-ranges.ts";
import { rows } from "./rows.ts";

type Row = [
  id: number,
  orderId: string,
  attempt: number,
  step: StepName,
  amount: number,
  sinceMs: number,
  tries: number,
  nextTryMs: number | null,
  lastAnswer: string | null,
  endedMs: number | null,
  note: string | null,
];

/** Steps of failed attempts that have to be compensated or have been. A row waits as long as it has a next try. */
export class Compensations {
  readonly #add: StatementSync;
  readonly #tried: StatementSync;
  readonly #settle: StatementSync;
  readonly #row: StatementSync;
  readonly #of: StatementSync;
  readonly #isAnyPending: StatementSync;
  readonly #due: StatementSync;
  readonly #nextDue: StatementSync;
  readonly #remove: StatementSync;

  constructor(db: DatabaseSync) {
    this.#add = db.prepare(
      "INSERT INTO compensations (attempt_id, step, tries, next_try_ms, last_answer, ended_ms) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#tried = db.prepare(`
      UPDATE compensations SET tries = tries + 1, next_try_ms = ?, last_answer = ?, ended_ms = ?
      WHERE attempt_id = ? AND step = ? AND next_try_ms IS NOT NULL
    `);
    this.#settle = db.prepare(
      "UPDATE compensations SET next_try_ms = NULL, ended_ms = ?, note = ? WHERE id = ? AND next_try_ms IS NOT NULL",
    );
    this.#row = rows(
      db,
      `SELECT c.id, order_id, attempt, step, amount, a.ended_ms, tries, next_try_ms, last_answer, c.ended_ms, note
       FROM compensations c CROSS JOIN attempts a ON a.id = attempt_id WHERE c.id = ?`,
    );
    this.#of = rows(db, "SELECT step, tries, next_try_ms, note FROM compensations WHERE attempt_id = ? ORDER BY id");
    this.#isAnyPending = rows(db, "SELECT 1 FROM compensations WHERE attempt_id = ? AND next_try_ms IS NOT NULL LIMIT 1");
    this.#due = rows(
      db,
      `
      SELECT compensations.id, order_id, attempt, amount, tries
      FROM compensations INDEXED BY compensations_due JOIN attempts ON attempts.id = attempt_id
      WHERE step = ? AND next_try_ms > ? AND next_try_ms <= ? ORDER BY next_try_ms LIMIT ?
      `,
    );
    this.#nextDue = rows(db, "SELECT min(next_try_ms) FROM compensations WHERE step = ? AND next_try_ms > ?");
    this.#remove = db.prepare("DELETE FROM compensations WHERE attempt_id = ?");
  }

  /** `nextTryMs` null: it is done, as of `nowMs`. */
  add(attemptId: number, step: string, tries: number, nextTryMs: number | null, lastAnswer: string | null, nowMs: number): void {
    this.#add.run(attemptId, step, tries, nextTryMs, lastAnswer, nextTryMs === null ? nowMs : null);
  }

  /** Counts a try of one that waits. Returns whether it waited. */
  tried(attemptId: number, step: string, nextTryMs: number | null, lastAnswer: string | null, nowMs: number): boolean {
    const endedMs = nextTryMs === null ? nowMs : null;
    return this.#tried.run(nextTryMs, lastAnswer, endedMs, attemptId, step).changes === 1;
  }

  /** Returns whether it waited. */
  settle(id: number, note: string, nowMs: number): boolean {
    return this.#settle.run(nowMs, note, id).changes === 1;
  }

  /** Null where there is none of that id. */
  row(id: number): CompensationRow | null {
    const row = this.#row.get(id) as unknown as Row | undefined;
    return row === undefined ? null : rowOf(row);
  }

  /** In the order in which they were written. */
  of(attemptId: number): CompensationState[] {
    const found = this.#of.all(attemptId) as unknown as [StepName, number, number | null, string | null][];
    return found.map(([step, tries, nextTryMs, note]) => ({ step, tries, status: statusOf(nextTryMs, note) }));
  }

  isAnyPending(attemptId: number): boolean {
    return this.#isAnyPending.get(attemptId) !== undefined;
  }

  due(step: StepName, nowMs: number, limit: number): DuePage<Compensation> {
    const found: [number, string, number, number, number][] = [];
    for (const range of dueRanges(nowMs)) {
      if (found.length < limit) found.push(...(this.#due.all(step, ...range, limit - found.length) as unknown as typeof found));
    }
    const items = found.map(([id, orderId, attempt, amount, tries]) => ({ id, orderId, attempt, amount, step, tries }));
    const [nextDueMs] = this.#nextDue.get(step, nowMs) as unknown as [number | null];
    return { items, ...(nextDueMs !== null && { nextDueMs }) };
  }

  /** All of an attempt. */
  remove(attemptId: number): void {
    this.#remove.run(attemptId);
  }
}

function statusOf(nextTryMs: number | null, note: string | null): CompensationState["status"] {
  if (nextTryMs !== null) return "pending";
  return note === null ? "done" : "settled";
}

function rowOf([id, orderId, attempt, step, amount, sinceMs, tries, nextTryMs, lastAnswer, endedMs, note]: Row): CompensationRow {
  return {
    id,
    orderId,
    attempt,
    step,
    amount,
    status: statusOf(nextTryMs, note),
    sinceMs,
    tries,
    ...(nextTryMs !== null && { nextTryMs }),
    ...(lastAnswer !== null && { lastAnswer }),
    ...(endedMs !== null && { endedMs }),
    ...(note !== null && { note }),
  };
}
