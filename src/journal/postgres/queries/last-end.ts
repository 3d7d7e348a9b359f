import { type Sql, statement } from "../sql.ts";

// As many as some milliseconds allow.
const NEWEST = 5_000;

const LAST_END = statement("last-end")`
    SELECT max(at_ms) FROM (
      (SELECT ended_ms AS at_ms FROM attempts WHERE error IS NOT NULL AND ended_ms < $1::bigint ORDER BY ended_ms DESC, id DESC LIMIT 1)
      UNION ALL
      (SELECT max(ended_ms) FROM (SELECT ended_ms FROM attempts ORDER BY id DESC LIMIT ${NEWEST}) newest WHERE ended_ms < $1::bigint)
      UNION ALL
      (SELECT max(ended_ms) FROM (SELECT ended_ms FROM attempts WHERE id < $2::bigint ORDER BY id DESC LIMIT ${NEWEST}) before
       WHERE ended_ms < $1::bigint)
      UNION ALL
      (SELECT given_up_ms FROM dead_letters WHERE given_up_ms < $1::bigint ORDER BY given_up_ms DESC, seq DESC LIMIT 1)
    ) ends`;

/** When something ended last before a time; null where nothing did. After a step of the clock it may miss placed orders that are not new. */
export async function lastEndBefore(sql: Sql, ms: number): Promise<number | null> {
  const acceptedBeforeId = await idAtTime(sql, Number.MAX_SAFE_INTEGER, ms);
  const [row] = await sql.rows<[number | null]>(LAST_END, [ms, acceptedBeforeId]);
  return row?.[0] ?? null;
}

// Ids follow the order of acceptance, so halving what is between two of them finds a time: one look into an index for each of their bits.
const HALVING = statement("id-at-time")`
    WITH RECURSIVE half (low, high) AS (
      SELECT (SELECT min(id) FROM attempts), $1::bigint
      UNION ALL
      SELECT CASE WHEN at.accepted_ms < $2::bigint THEN at.id + 1 ELSE low END,
             CASE WHEN at.accepted_ms < $2::bigint THEN high ELSE (low + high) / 2 END
      FROM half LEFT JOIN LATERAL (
        SELECT id, accepted_ms FROM attempts WHERE id >= (low + high) / 2 AND id < high ORDER BY id LIMIT 1
      ) at ON true
      WHERE low < high
    )
    SELECT high FROM half ORDER BY high LIMIT 1`;

/**
 * The id, at most `beforeId`, from which on attempts were accepted at a time or later; after a step back of the clock some below were too.
 */
export async function idAtTime(sql: Sql, beforeId: number, ms: number): Promise<number> {
  const [row] = await sql.rows<[number]>(HALVING, [beforeId, ms]);
  return row?.[0] ?? beforeId;
}
