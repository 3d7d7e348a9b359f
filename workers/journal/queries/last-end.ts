import type { DatabaseSync } from "node:sqlite";
import type { Reads } from "../../../src/journal/rules/reads.ts";
import { BLOCK_IDS } from "../tables/attempts.ts";
import { fieldOf } from "../tables/rows.ts";

/** When something ended last before a time. Of placed orders between the newest and the bounds of a block it may miss some. */
export function lastEnd(db: DatabaseSync): Reads["lastEndBefore"] {
  // The first block is there, with zeros, before its first attempt.
  const last = fieldOf<number | null>(
    db,
    `SELECT max(at_ms) FROM (
       SELECT max(ended_ms) AS at_ms FROM attempts INDEXED BY attempts_failed WHERE error IS NOT NULL AND ended_ms < ?1
       UNION ALL SELECT max(ended_ms) FROM attempts WHERE id > (SELECT max(id) FROM attempts) - ${BLOCK_IDS} AND ended_ms < ?1
       UNION ALL SELECT max(max_ended_ms) FROM attempt_blocks WHERE max_ended_ms < ?1 AND max_ended_ms > 0
       UNION ALL SELECT max(min_ended_ms) FROM attempt_blocks WHERE min_ended_ms < ?1 AND min_ended_ms > 0
       UNION ALL SELECT max(given_up_ms) FROM dead_letters WHERE given_up_ms < ?1)`,
  );
  return (beforeMs) => last(beforeMs) ?? null;
}
