import type { DatabaseSync, StatementSync } from "node:sqlite";
import { rows } from "./rows.ts";

/** Rows that were tried so often or more often have the same longest pause. The indexes are made with this number. */
export const MOST_TRIES = 16;

const GROUP = `min(tries, ${MOST_TRIES})`;
const BEFORE_ALL = -1;
const AFTER_ALL = Number.MAX_SAFE_INTEGER;

export interface DueRowsOptions {
  readonly table: string;
  readonly id: string;
  /** An index that orders the rows `where` holds for by the columns of `where`, `min(tries, MOST_TRIES)`, `next_try_ms`. */
  readonly index: string;
  readonly where: string;
  /** How far ahead of now, milliseconds, a row may be dated that was tried so often (`MOST_TRIES`: or more often). */
  readonly longestPauseMs: (tries: number) => number;
}

export interface DueRequest {
  readonly parameters: readonly (string | number)[];
  readonly tries: { readonly from: number; readonly upTo: number };
  readonly nowMs: number;
  readonly limit: number;
  /** Those that were tried least come first (no row was tried more than `MOST_TRIES`); otherwise those that have been due for the longest. */
  readonly leastTried: boolean;
  /** Ids that are not wanted. */
  readonly except: readonly number[];
}

/**
 * Finds rows whose next try is due. A row dated further ahead than any pause it may have is due too: the clock ran ahead when it was written,
 * and a customer must not wait for the money until the clock is there again. How long a pause may be depends on the tries, so each number of
 * tries is looked at by itself, up to `MOST_TRIES`: without a limit the rows that fail for days would cost every look some microseconds each.
 */
export class DueRows {
  readonly #longestPauseMs: (tries: number) => number;
  readonly #nextTries: StatementSync;
  readonly #due: StatementSync;
  readonly #nextDue: StatementSync;

  constructor(db: DatabaseSync, { table, id, index, where, longestPauseMs }: DueRowsOptions) {
    this.#longestPauseMs = longestPauseMs;
    const from = `FROM ${table} INDEXED BY ${index} WHERE ${where}`;
    this.#nextTries = rows(db, `SELECT min(${GROUP}) ${from} AND ${GROUP} >= ?`);
    this.#due = rows(
      db,
      `SELECT ${id}, next_try_ms ${from} AND ${GROUP} = ? AND next_try_ms > ? AND next_try_ms <= ? ORDER BY next_try_ms LIMIT ?`,
    );
    this.#nextDue = rows(db, `SELECT min(next_try_ms) ${from} AND ${GROUP} = ? AND next_try_ms > ? AND next_try_ms <= ?`);
  }

  /** The ids of up to `limit` rows, and when the earliest of the others will be due. */
  page({ parameters, tries, nowMs, limit, leastTried, except }: DueRequest): { ids: readonly number[]; nextDueMs?: number } {
    const found: [id: number, dueMs: number][] = [];
    let nextDueMs = AFTER_ALL;
    for (let group = this.#groupAt(parameters, tries.from); group <= tries.upTo; group = this.#groupAt(parameters, group + 1)) {
      const aheadMs = nowMs + this.#longestPauseMs(group);
      const inGroup = (after: number, upTo: number) =>
        this.#due.all(...parameters, group, after, upTo, limit + except.length) as unknown as [id: number, dueMs: number][];
      const due = [...inGroup(BEFORE_ALL, nowMs), ...inGroup(aheadMs, AFTER_ALL).map(([id]) => [id, BEFORE_ALL] as [number, number])];
      found.push(...due.filter(([id]) => !except.includes(id)));
      const [next] = this.#nextDue.get(...parameters, group, nowMs, aheadMs) as unknown as [number | null];
      nextDueMs = Math.min(nextDueMs, next ?? AFTER_ALL);
      if (leastTried && found.length >= limit) break;
    }
    if (!leastTried) found.sort(([, a], [, b]) => a - b);
    return { ids: found.slice(0, limit).map(([id]) => id), ...(nextDueMs !== AFTER_ALL && { nextDueMs }) };
  }

  #groupAt(parameters: readonly (string | number)[], tries: number): number {
    return (this.#nextTries.get(...parameters, tries) as unknown as [number | null])[0] ?? AFTER_ALL;
  }
}
