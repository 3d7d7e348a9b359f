import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { AttemptsTable, EndedAttempt, FailedAttempt } from "../../../src/journal/rules/tables.ts";
import { rows } from "./rows.ts";

/** Ids in one row of `attempt_blocks`, as the migrations have it. */
export const BLOCK_IDS = 1_024;

const COLUMNS = "id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answered, answer";

/**
 * Attempts that have ended. Appended to; a failed one gets its answer after its compensations were tried, and is deleted when it is old.
 * `answered`: somebody received the answer, or was waiting for it when it was stored.
 */
export class Attempts implements AttemptsTable {
  readonly #one: StatementSync;
  readonly #byId: StatementSync;
  readonly #told: StatementSync;
  readonly #answer: StatementSync;
  readonly #latest: StatementSync;
  readonly #before: StatementSync;
  readonly #add: StatementSync;
  readonly #move: StatementSync;
  readonly #firstId: number;
  readonly #describeBlocks: StatementSync;
  readonly #failedBefore: StatementSync;
  readonly #remove: StatementSync;

  /** `firstId`: no row is given an id below this; the first of a block. */
  constructor(db: DatabaseSync, firstId: number) {
    this.#firstId = firstId;
    this.#one = rows(db, `SELECT ${COLUMNS} FROM attempts WHERE order_id = ? AND attempt = ?`);
    this.#byId = db.prepare(
      "SELECT order_id AS orderId, amount, attempt, error, interrupted, ended_ms AS endedMs FROM attempts WHERE id = ?",
    );
    this.#told = db.prepare("UPDATE attempts SET interrupted = 1 WHERE id = ?");
    this.#answer = db.prepare("UPDATE attempts SET answered = ?, answer = ? WHERE order_id = ? AND attempt = ?");
    this.#latest = rows(db, `SELECT ${COLUMNS} FROM attempts WHERE order_id = ? ORDER BY attempt DESC LIMIT 1`);
    this.#before = rows(db, `SELECT ${COLUMNS} FROM attempts WHERE order_id = ? AND attempt < ? ORDER BY attempt DESC LIMIT ?`);
    this.#failedBefore = rows(
      db,
      `SELECT id, order_id, attempt, ended_ms FROM attempts INDEXED BY attempts_failed
       WHERE error IS NOT NULL AND ended_ms < ? AND (ended_ms, id) > (?, ?) ORDER BY ended_ms, id LIMIT ?`,
    );
    this.#remove = db.prepare("DELETE FROM attempts WHERE id = ?");
    this.#add = db.prepare(
      "INSERT INTO attempts (order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answered, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#move = db.prepare("UPDATE attempts SET id = ? WHERE id = ?");
    this.#describeBlocks = db.prepare(`
      INSERT OR REPLACE INTO attempt_blocks
      SELECT id / ${BLOCK_IDS} * ${BLOCK_IDS} AS block, min(ended_ms), max(ended_ms) FROM attempts WHERE id >= ? - ${BLOCK_IDS} GROUP BY block
    `);
  }

  one(orderId: string, attempt: number): EndedAttempt | undefined {
    return this.#one.get(orderId, attempt) as unknown as EndedAttempt | undefined;
  }

  /** There is one of that id. */
  byId(id: number): ReturnType<AttemptsTable["byId"]> {
    return this.#byId.get(id) as never;
  }

  /** Somebody is told now that an attempt failed which a restore closed. */
  told(id: number): void {
    this.#told.run(id);
  }

  /** Returns whether the attempt has ended. */
  answer(orderId: string, attempt: number, answered: 0 | 1, json: string): boolean {
    return this.#answer.run(answered, json, orderId, attempt).changes === 1;
  }

  latest(orderId: string): EndedAttempt | undefined {
    return this.#latest.get(orderId) as unknown as EndedAttempt | undefined;
  }

  /** The newest of those before an attempt, newest first. */
  before(orderId: string, attempt: number, limit: number): EndedAttempt[] {
    return this.#before.all(orderId, attempt, limit) as unknown as EndedAttempt[];
  }

  /** Returns the row's id. */
  add(
    orderId: string,
    attempt: number,
    amount: number,
    acceptedMs: number,
    endedMs: number,
    error: string | null,
    interrupted: 0 | 1 | 2,
    answered: 0 | 1,
    json: string,
  ): number {
    const { lastInsertRowid } = this.#add.run(orderId, attempt, amount, acceptedMs, endedMs, error, interrupted, answered, json);
    const given = Number(lastInsertRowid);
    const id = given < this.#firstId ? this.#jump(given) : given;
    // The block before is full. A rollback takes both with it.
    if (id % BLOCK_IDS === 0) this.#describeBlocks.run(id);
    return id;
  }

  /** Gives the first row since a restore its id, and describes the block that is the last one before. */
  #jump(given: number): number {
    this.#move.run(this.#firstId, given);
    this.#describeBlocks.run((Math.floor((given - 1) / BLOCK_IDS) + 1) * BLOCK_IDS);
    return this.#firstId;
  }

  /** Failed attempts that ended before a time and come after one of them, oldest first. */
  failedBefore(endedBeforeMs: number, afterEndedMs: number, afterId: number, limit: number): FailedAttempt[] {
    return this.#failedBefore.all(endedBeforeMs, afterEndedMs, afterId, limit) as unknown as FailedAttempt[];
  }

  remove(id: number): void {
    this.#remove.run(id);
  }
}
