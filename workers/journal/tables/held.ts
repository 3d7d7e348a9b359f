import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { HeldTable } from "../../../src/journal/rules/tables.ts";
import { rows } from "./rows.ts";
import { stateChange } from "./state-change.ts";

/** Compensations that are held since a restore, until an operator has let them go on or settled them. */
export class Held implements HeldTable {
  /** False: nothing is held, and nothing will be while this connection is open. Orders ask this before they look. */
  readonly isPossible: boolean;
  readonly #hold: StatementSync;
  readonly #isAny: StatementSync;
  readonly #attempts: StatementSync;
  readonly #ofOrder: StatementSync;
  readonly #confirm: StatementSync;

  constructor(db: DatabaseSync) {
    const held = "compensations INDEXED BY compensations_held WHERE state = 'held'";
    this.isPossible = db.prepare(`SELECT 1 FROM ${held} LIMIT 1`).get() !== undefined;
    this.#hold = db.prepare(stateChange("restored", "next_try_ms = NULL", "ended_ms IS NULL"));
    this.#isAny = rows(db, `SELECT 1 FROM ${held} AND attempt_id = ? LIMIT 1`);
    this.#attempts = rows(db, `SELECT DISTINCT attempt_id FROM ${held} AND attempt_id > ? ORDER BY attempt_id LIMIT ?`);
    this.#ofOrder = rows(
      db,
      `SELECT a.id FROM attempts a INDEXED BY attempts_by_order
       WHERE order_id = ? AND EXISTS (SELECT 1 FROM ${held} AND attempt_id = a.id) ORDER BY attempt LIMIT ?`,
    );
    this.#confirm = db.prepare(stateChange("confirmed", "next_try_ms = ?", "attempt_id = ?"));
  }

  /** Holds all that is open. */
  hold(): void {
    this.#hold.run();
  }

  /** Whether something of an attempt is held. */
  isAny(attemptId: number): boolean {
    return this.isPossible && this.#isAny.get(attemptId) !== undefined;
  }

  /** Up to `limit` attempts with something held, by their id, after one of them. */
  attempts(after: number, limit: number): number[] {
    return (this.#attempts.all(after, limit) as unknown as [number][]).map(([id]) => id);
  }

  /** Up to `limit` such attempts at one order. */
  attemptsAt(orderId: string, limit: number): number[] {
    return (this.#ofOrder.all(orderId, limit) as unknown as [number][]).map(([id]) => id);
  }

  /** Lets all of an attempt go on: due from `nowMs` on. Returns how many. */
  confirm(attemptId: number, nowMs: number): number {
    return Number(this.#confirm.run(nowMs, attemptId).changes);
  }
}
