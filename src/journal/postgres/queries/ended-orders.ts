import { OPEN_STATES } from "../../../orders/compensation-state.ts";
import type { ErrorKind } from "../../../orders/error-kind.ts";
import type { Statement } from "../sql.ts";
import { openById } from "./compensation-list.ts";

/** Rows that one page looks at, at most, to find what it shows: up to twenty milliseconds. The next page goes on from there. */
export const MAX_SCANNED = 5_000;

/** An ended attempt that is shown. `key` and `id` are its place in the list. */
export type Shown = [
  key: number,
  id: number,
  orderId: string,
  attempt: number,
  amount: number,
  acceptedMs: number,
  endedMs: number,
  error: ErrorKind | null,
  isOpen: boolean,
];

/**
 * Comes last where `MAX_SCANNED` rows were looked at and too few of them are shown: the place of the last one, and when the first and the last of
 * them ended.
 */
export type ScanEnd = [
  key: number,
  id: number,
  orderId: null,
  attempt: null,
  amount: null,
  firstEndedMs: number | null,
  lastEndedMs: number | null,
  error: null,
  isOpen: null,
];

const COLUMNS = "a.id, order_id, attempt, amount, accepted_ms, ended_ms, error";
// Not IS NULL: the index of all that is open could be walked for the few rows of one attempt.
const IS_OPEN = "coalesce(c.ended_ms, 0) = 0";
const BY_ID = `SELECT ${COLUMNS}, id AS key FROM attempts a WHERE id < $1::bigint ORDER BY id DESC`;

/**
 * Values: the place after which it goes on (`$1` key, `$2` id), `$3` and `$4` the time in which they ended (the second one excluded), `$5` limit,
 * `$6` to `$8` the moment since which attempts do not supersede others (`Beginning`).
 */
export const ENDED = {
  all: endedOrders("all", BY_ID, "true"),
  ok: endedOrders("ok", BY_ID, "error IS NULL"),
  error: endedOrders(
    "error",
    // The place is the only upper bound: beside a second one the index would be read from that.
    `SELECT ${COLUMNS}, ended_ms AS key FROM attempts a
     WHERE error IS NOT NULL AND ended_ms >= $3::bigint AND (ended_ms, id) < ($1::bigint, $2::bigint) ORDER BY ended_ms DESC, id DESC`,
    "true",
  ),
  compensating: endedOrders(
    "compensating",
    // An attempt stands where the newest of its open compensations is.
    `SELECT ${COLUMNS}, c.id AS key
     FROM (${openById("id, attempt_id", "falling", OPEN_STATES, MAX_SCANNED)}) c
     CROSS JOIN LATERAL (SELECT * FROM attempts WHERE id = c.attempt_id LIMIT 1) a
     ORDER BY c.id DESC`,
    `NOT EXISTS (SELECT 1 FROM compensations c WHERE attempt_id = l.id AND ${IS_OPEN} AND c.id > l.key OFFSET 0)`,
  ),
};

/**
 * Each takes the same values, whether it needs them or not. One statement, so one snapshot. Each part of it stops at its limit, and the second
 * part only runs where the first one has too few rows. LATERAL with a limit is a loop over what is shown, whatever the planner expects.
 */
function endedOrders(name: string, rows: string, where: string): Statement {
  const scan = `(${rows} LIMIT ${MAX_SCANNED}) l`;
  return {
    name: `orders-${name}`,
    text: `
      SELECT * FROM (
        (SELECT key, l.id, l.order_id, l.attempt, l.amount, l.accepted_ms, l.ended_ms, l.error, is_open IS NOT NULL
         FROM ${scan}
         LEFT JOIN LATERAL (
           SELECT true AS is_superseded FROM attempts later
           WHERE later.order_id = l.order_id AND later.attempt > l.attempt
             AND (later.id < $6::bigint OR (age(later.xmin) > age($7::xid) AND later.xmin <> ALL ($8::xid[])))
           LIMIT 1
         ) later ON true
         LEFT JOIN LATERAL (
           SELECT true AS is_open FROM compensations c WHERE l.error IS NOT NULL AND attempt_id = l.id AND ${IS_OPEN} LIMIT 1
         ) open ON true
         WHERE l.ended_ms >= $3::bigint AND l.ended_ms < $4::bigint AND is_superseded IS NULL AND $2::bigint IS NOT NULL AND ${where}
         ORDER BY key DESC, l.id DESC LIMIT $5::bigint)
        UNION ALL
        (SELECT (array_agg(key))[${MAX_SCANNED}], (array_agg(id))[${MAX_SCANNED}], NULL, NULL, NULL, min(ended_ms), max(ended_ms), NULL, NULL
         FROM ${scan} HAVING count(*) = ${MAX_SCANNED})
      ) page LIMIT $5::bigint`,
  };
}
