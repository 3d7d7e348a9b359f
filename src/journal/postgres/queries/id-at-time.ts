import type { Sql, Statement } from "../sql.ts";

// Ids follow the order of acceptance, so halving what is between two of them finds a time: one look into an index for each of their bits.
const HALVING: Statement = {
  name: "id-at-time",
  text: `
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
    SELECT high FROM half ORDER BY high LIMIT 1`,
};

/**
 * The id, at most `beforeId`, up from which attempts were accepted at a time (milliseconds, wall clock) or later. Where the clock was set back
 * some of those below were too.
 */
export async function idAtTime(sql: Sql, beforeId: number, ms: number): Promise<number> {
  const [row] = await sql.rows<[number]>(HALVING, [beforeId, ms]);
  return row?.[0] ?? beforeId;
}
