import type { DatabaseSync, StatementSync } from "node:sqlite";
import { rows } from "./rows.ts";

export type EndedAttempt = [
  id: number,
  attempt: number,
  amount: number,
  acceptedMs: number,
  endedMs: number,
  error: string | null,
  interrupted: number,
  json: string,
];

const COLUMNS = "id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answer";

/** Attempts that have ended. Appended to, never changed. */
export class Attempts {
  readonly #one: StatementSync;
  readonly #latest: StatementSync;
  readonly #all: StatementSync;
  readonly #add: StatementSync;

  constructor(db: DatabaseSync) {
    this.#one = rows(db, `SELECT ${COLUMNS} FROM attempts WHERE order_id = ? AND attempt = ?`);
    this.#latest = rows(db, `SELECT ${COLUMNS} FROM attempts WHERE order_id = ? ORDER BY attempt DESC LIMIT 1`);
    this.#all = rows(db, `SELECT ${COLUMNS} FROM attempts WHERE order_id = ? ORDER BY attempt`);
    this.#add = db.prepare(
      "INSERT INTO attempts (order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    );
  }

  one(orderId: string, attempt: number): EndedAttempt | undefined {
    return this.#one.get(orderId, attempt) as unknown as EndedAttempt | undefined;
  }

  latest(orderId: string): EndedAttempt | undefined {
    return this.#latest.get(orderId) as unknown as EndedAttempt | undefined;
  }

  /** Oldest first. */
  all(orderId: string): EndedAttempt[] {
    return this.#all.all(orderId) as unknown as EndedAttempt[];
  }

  /** Returns the row's id. */
  add(
    orderId: string,
    attempt: number,
    amount: number,
    acceptedMs: number,
    endedMs: number,
    error: string | null,
    interrupted: boolean,
    json: string,
  ): number {
    const { lastInsertRowid } = this.#add.run(orderId, attempt, amount, acceptedMs, endedMs, error, interrupted ? 1 : 0, json);
    return Number(lastInsertRowid);
  }
}
