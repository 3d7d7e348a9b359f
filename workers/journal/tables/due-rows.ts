import type { DatabaseSync } from "node:sqlite";
import { MOST_TRIES } from "../../../src/journal/rules/due.ts";
import { allOf, fieldOf } from "./rows.ts";

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

/** The ids of up to `limit` rows, and when the earliest of the others will be due. */
export interface DueIds {
  readonly ids: readonly number[];
  readonly nextDueMs?: number;
}

/**
 * Finds rows whose next try is due, or dated further ahead than any pause it may have. That depends on the tries, so each number of tries
 * is looked at by itself, up to `MOST_TRIES`: without a limit rows that fail for days would cost every look some microseconds each.
 */
export function dueRows(db: DatabaseSync, { table, id, index, where, longestPauseMs }: DueRowsOptions): (request: DueRequest) => DueIds {
  const from = `FROM ${table} INDEXED BY ${index} WHERE ${where}`;
  const nextTries = fieldOf<number | null>(db, `SELECT min(${GROUP}) ${from} AND ${GROUP} >= ?`);
  const inGroup = `${from} AND ${GROUP} = ? AND next_try_ms > ? AND next_try_ms <= ?`;
  const due = allOf<(string | number)[], [id: number, dueMs: number]>(
    db,
    `SELECT ${id}, next_try_ms ${inGroup} ORDER BY next_try_ms LIMIT ?`,
  );
  const nextDue = fieldOf<number | null>(db, `SELECT min(next_try_ms) ${inGroup}`);
  return ({ parameters, tries, nowMs, limit, leastTried, except }) => {
    const groupAt = (least: number) => nextTries(...parameters, least) ?? AFTER_ALL;
    const found: [id: number, dueMs: number][] = [];
    let nextDueMs = AFTER_ALL;
    for (let group = groupAt(tries.from); group <= tries.upTo; group = groupAt(group + 1)) {
      const aheadMs = nowMs + longestPauseMs(group);
      const between = (after: number, upTo: number) => due(...parameters, group, after, upTo, limit + except.length);
      const ahead = between(aheadMs, AFTER_ALL).map(([id]): [number, number] => [id, BEFORE_ALL]);
      found.push(...[...between(BEFORE_ALL, nowMs), ...ahead].filter(([id]) => !except.includes(id)));
      nextDueMs = Math.min(nextDueMs, nextDue(...parameters, group, nowMs, aheadMs) ?? AFTER_ALL);
      if (leastTried && found.length >= limit) break;
    }
    if (!leastTried) found.sort(([, a], [, b]) => a - b);
    return { ids: found.slice(0, limit).map(([id]) => id), ...(nextDueMs !== AFTER_ALL && { nextDueMs }) };
  };
}
