import type { DatabaseSync, StatementSync } from "node:sqlite";
import { longestCompensationPauseMs } from "../../../src/journal/rules/pauses.ts";
import { type CompensationFields, type CompensationsTable, compensationRow } from "../../../src/journal/rules/tables.ts";
import type { CompensationStatus, Transition } from "../../../src/orders/compensation-state.ts";
import type { CompensationRow } from "../../../src/orders/operator-journal.ts";
import type { Compensation, CompensationState } from "../../../src/orders/order-journal.ts";
import type { StepName } from "../../../src/orders/steps.ts";
import type { DuePage } from "../../../src/retries/retry-queue.ts";
import { DueRows } from "./due-rows.ts";
import { rows } from "./rows.ts";
import { stateChange } from "./state-change.ts";

const TRIES = { first: { from: 0, upTo: 0 }, again: { from: 1, upTo: Number.MAX_SAFE_INTEGER - 1 } };

/** Steps of failed attempts that have to be compensated or have been. A row is open until it is done or settled. */
export class Compensations implements CompensationsTable {
  readonly #add: StatementSync;
  readonly #take: StatementSync;
  readonly #done: StatementSync;
  readonly #failed: StatementSync;
  readonly #interrupted: StatementSync;
  readonly #answeredLate: StatementSync;
  readonly #settle: StatementSync;
  readonly #row: StatementSync;
  readonly #attemptOf: StatementSync;
  readonly #of: StatementSync;
  readonly #isAnyOpen: StatementSync;
  readonly #isAnyOpenAt: StatementSync;
  readonly #due: DueRows;
  readonly #remove: StatementSync;

  constructor(db: DatabaseSync) {
    this.#add = db.prepare("INSERT INTO compensations (attempt_id, step, state, tries, next_try_ms) VALUES (?, ?, ?, 0, ?)");
    const change = (transition: Transition, more: string, which = "id = ?") => db.prepare(stateChange(transition, more, which));
    this.#take = change("taken", "next_try_ms = NULL");
    this.#done = change("done", "tries = tries + 1, last_answer = NULL, ended_ms = ?");
    this.#failed = change("failed", "tries = tries + 1, next_try_ms = ?, last_answer = ?");
    this.#interrupted = change("interrupted", "next_try_ms = ?", "ended_ms IS NULL");
    this.#settle = change("settled", "next_try_ms = NULL, ended_ms = ?, note = ?");
    this.#answeredLate = db.prepare("UPDATE compensations SET last_answer = ? WHERE id = ?");
    this.#row = rows(
      db,
      `SELECT c.id, order_id, attempt, step, amount, a.ended_ms, state, tries, next_try_ms, last_answer, c.ended_ms, note
       FROM compensations c CROSS JOIN attempts a ON a.id = attempt_id WHERE c.id = ?`,
    );
    this.#attemptOf = rows(db, "SELECT attempt_id FROM compensations WHERE id = ?");
    this.#of = rows(db, "SELECT step, tries, state FROM compensations WHERE attempt_id = ? ORDER BY id");
    this.#isAnyOpen = rows(db, "SELECT 1 FROM compensations WHERE attempt_id = ? AND ended_ms IS NULL LIMIT 1");
    this.#isAnyOpenAt = rows(db, "SELECT 1 FROM compensations WHERE attempt_id = ? AND ifnull(ended_ms >= ?, true) LIMIT 1");
    this.#due = new DueRows(db, {
      table: "compensations",
      id: "id",
      index: "compensations_due",
      where: "step = ? AND state = 'pending'",
      longestPauseMs: longestCompensationPauseMs,
    });
    this.#remove = db.prepare("DELETE FROM compensations WHERE attempt_id = ?");
  }

  /** One that is pending is due from `nowMs` on. Returns its id. */
  add(attemptId: number, step: StepName, status: "pending" | "trying" | "held", nowMs: number): number {
    return Number(this.#add.run(attemptId, step, status, status === "pending" ? nowMs : null).lastInsertRowid);
  }

  /** Does nothing to one that is not pending. */
  take(id: number): void {
    this.#take.run(id);
  }

  /** Takes up to `limit` that are due. */
  takeDue(step: StepName, kind: keyof typeof TRIES, nowMs: number, limit: number, leastTried: boolean): DuePage<Compensation> {
    const { ids, ...next } = this.#due.page({ parameters: [step], tries: TRIES[kind], nowMs, limit, leastTried, except: [] });
    const items = ids.map((id) => this.row(id) as CompensationRow);
    for (const id of ids) this.take(id);
    return { items: items.map(({ id, orderId, attempt, amount, tries }) => ({ id, orderId, attempt, amount, step, tries })), ...next };
  }

  /** Stores how a try ended; `nextTryMs` null: it is done. Returns whether it was under way. */
  tried(id: number, nextTryMs: number | null, lastAnswer: string | null, nowMs: number): boolean {
    const { changes } = nextTryMs === null ? this.#done.run(nowMs, id) : this.#failed.run(nextTryMs, lastAnswer, id);
    return changes === 1;
  }

  /** The process that tried them has ended. */
  interrupt(nowMs: number): void {
    this.#interrupted.run(nowMs);
  }

  answeredLate(id: number, lastAnswer: string): void {
    this.#answeredLate.run(lastAnswer, id);
  }

  /** Returns whether it could be settled. */
  settle(id: number, note: string, nowMs: number): boolean {
    return this.#settle.run(nowMs, note, id).changes === 1;
  }

  /** Null where there is none of that id. */
  row(id: number): CompensationRow | null {
    const row = this.#row.get(id) as unknown as CompensationFields | undefined;
    return row === undefined ? null : compensationRow(row);
  }

  /** There is one of that id. */
  attemptOf(id: number): number {
    return (this.#attemptOf.get(id) as unknown as [number])[0];
  }

  /** In the order in which they were written. */
  of(attemptId: number): CompensationState[] {
    const found = this.#of.all(attemptId) as unknown as [StepName, number, CompensationStatus][];
    return found.map(([step, tries, status]) => ({ step, tries, status }));
  }

  isAnyOpen(attemptId: number): boolean {
    return this.#isAnyOpen.get(attemptId) !== undefined;
  }

  /** Whether one was neither done nor settled before a time. */
  isAnyOpenAt(attemptId: number, atMs: number): boolean {
    return this.#isAnyOpenAt.get(attemptId, atMs) !== undefined;
  }

  /** All of an attempt. */
  remove(attemptId: number): void {
    this.#remove.run(attemptId);
  }
}
