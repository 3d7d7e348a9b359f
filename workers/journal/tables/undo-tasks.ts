import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { UndoTask } from "../../../src/orders/order-journal.ts";
import type { StepName } from "../../../src/orders/step.ts";
import { rows } from "./rows.ts";

export type UndoRow = [step: StepName, tries: number, doneMs: number | null];

/** Steps of ended attempts that have to be undone or have been, in the order of undoing. */
export class UndoTasks {
  readonly #add: StatementSync;
  readonly #tried: StatementSync;
  readonly #of: StatementSync;
  readonly #isAnyPending: StatementSync;
  readonly #pending: StatementSync;

  constructor(db: DatabaseSync) {
    this.#add = db.prepare("INSERT INTO undo_tasks (attempt_id, step, tries, done_ms) VALUES (?, ?, ?, ?)");
    this.#tried = db.prepare(`
      UPDATE undo_tasks SET tries = tries + 1, done_ms = ?, request_id = ?
      WHERE attempt_id = ? AND step = ? AND done_ms IS NULL AND request_id IS NOT ?
    `);
    this.#of = rows(db, "SELECT step, tries, done_ms FROM undo_tasks WHERE attempt_id = ? ORDER BY id");
    this.#isAnyPending = rows(db, "SELECT 1 FROM undo_tasks WHERE attempt_id = ? AND done_ms IS NULL LIMIT 1");
    this.#pending = rows(
      db,
      `
      SELECT undo_tasks.id, order_id, attempt, amount, step, tries
      FROM undo_tasks INDEXED BY undo_tasks_pending JOIN attempts ON attempts.id = attempt_id
      WHERE done_ms IS NULL AND undo_tasks.id > ? ORDER BY undo_tasks.id LIMIT ?
      `,
    );
  }

  add(attemptId: number, step: string, tries: number, doneMs: number | null): void {
    this.#add.run(attemptId, step, tries, doneMs);
  }

  /** Counts a try of a task that is not done, once a request. Returns whether there was such a task. */
  tried(attemptId: number, step: string, doneMs: number | null, requestId: number): boolean {
    return this.#tried.run(doneMs, requestId, attemptId, step, requestId).changes === 1;
  }

  of(attemptId: number): UndoRow[] {
    return this.#of.all(attemptId) as unknown as UndoRow[];
  }

  isAnyPending(attemptId: number): boolean {
    return this.#isAnyPending.get(attemptId) !== undefined;
  }

  pending(afterId: number, limit: number): UndoTask[] {
    const found = this.#pending.all(afterId, limit) as unknown as [number, string, number, number, StepName, number][];
    return found.map(([id, orderId, attempt, amount, step, tries]) => ({ id, orderId, attempt, amount, step, tries }));
  }
}
