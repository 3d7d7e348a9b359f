import type { Sql, Statement } from "../sql.ts";
import { idAtTime } from "./id-at-time.ts";

// As many as some milliseconds allow.
const NEWEST = 5_000;

const LAST_END: Statement = {
  name: "last-end",
  text: `
    SELECT max(at_ms) FROM (
      (SELECT ended_ms AS at_ms FROM attempts WHERE error IS NOT NULL AND ended_ms < $1::bigint ORDER BY ended_ms DESC, id DESC LIMIT 1)
      UNION ALL
      (SELECT max(ended_ms) FROM (SELECT ended_ms FROM attempts ORDER BY id DESC LIMIT ${NEWEST}) newest WHERE ended_ms < $1::bigint)
      UNION ALL
      (SELECT max(ended_ms) FROM (SELECT ended_ms FROM attempts WHERE id < $2::bigint ORDER BY id DESC LIMIT ${NEWEST}) before
       WHERE ended_ms < $1::bigint)
      UNION ALL
      (SELECT given_up_ms FROM dead_letters WHERE given_up_ms < $1::bigint ORDER BY given_up_ms DESC, seq DESC LIMIT 1)
    ) ends`,
};

/** When something ended last before a time; null where nothing did. After a step of the clock it may miss placed orders that are not new. */
export async function lastEndBefore(sql: Sql, ms: number): Promise<number | null> {
  const acceptedBeforeId = await idAtTime(sql, Number.MAX_SAFE_INTEGER, ms);
  const [row] = await sql.rows<[number | null]>(LAST_END, [ms, acceptedBeforeId]);
  return row?.[0] ?? null;
}
