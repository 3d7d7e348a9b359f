import { closeByRestore } from "../rules/close-by-restore.ts";
import { firstIdAfterRestore } from "../rules/restores.ts";
import { stateChange } from "../sql/state-change.ts";
import { ATTEMPT_COLUMNS, type AttemptTuple, attemptRow } from "./batch/attempt-row.ts";
import { BatchTables } from "./batch/batch-tables.ts";
import { flush } from "./batch/flush.ts";
import type { Connection } from "./connection.ts";
import { BEGIN, COMMIT, ROLLBACK, type Statement } from "./sql.ts";

const PAGE = 1_000;
const NO_LIFE = 0;
const SEQUENCES = ["attempts_id_seq", "compensations_id_seq", "outbox_seq_seq", "operator_actions_id_seq"];

// Who was before has done it already, unless it knows nothing of what this node misses.
const IS_DONE: Statement = {
  name: "restore_is_done",
  text: "SELECT continued_on = $1 AND NOT EXISTS (SELECT 1 FROM nodes WHERE life = $2 AND ended_ms IS NULL) FROM cluster FOR UPDATE",
};
// Who runs learns that its life is over, and looks at the server anew.
const END_LIVES: Statement = { name: "end_lives", text: "UPDATE nodes SET ended_ms = $1 WHERE ended_ms IS NULL" };
const FREE_EVENTS: Statement = { name: "free_events", text: "UPDATE outbox SET taken_by = NULL WHERE taken_by IS NOT NULL" };
const HOLD: Statement = { name: "hold", text: stateChange("restored", "next_try_ms = NULL, taken_by = NULL", "ended_ms IS NULL") };
const OPEN: Statement = {
  name: "restore_open",
  text: `SELECT ${ATTEMPT_COLUMNS} FROM attempts a WHERE open_by IS NOT NULL ORDER BY id LIMIT ${PAGE}`,
};
const HIGHEST: Statement = {
  name: "highest_id",
  text: `SELECT greatest(${SEQUENCES.map((sequence) => `(SELECT last_value FROM ${sequence})`).join(", ")}, (SELECT max(first_id) FROM restores))`,
};
const NUMBER_FROM: Statement = {
  name: "number_from",
  text: `SELECT ${SEQUENCES.map((sequence) => `setval('${sequence}', $1::bigint)`).join(", ")}`,
};
const NOTE: Statement = { name: "note_restore", text: "INSERT INTO restores (restored_ms, first_id) VALUES ($1, $2)" };
const CONTINUED: Statement = { name: "restored_on", text: "UPDATE cluster SET continued_on = $1, continued_at = now()" };

/**
 * Holds all that is open in a database that came from a backup, or lost what came last: what ran may have ended in any way since. One transaction.
 * `life`: that of this node, where it had one. Returns whether there was anything to do: of two nodes that start at one time one does it.
 */
export async function holdEverything(connection: Connection, server: string, life: number | undefined): Promise<boolean> {
  const nowMs = Date.now();
  await connection.rows(BEGIN);
  try {
    const [done] = await connection.rows<[boolean]>(IS_DONE, [server, life ?? NO_LIFE]);
    const isDone = done?.[0] === true;
    if (!isDone) {
      const [highest] = await connection.rows<[number]>(HIGHEST);
      const firstId = firstIdAfterRestore(highest?.[0] ?? 0, nowMs);
      await connection.rows(END_LIVES, [nowMs]);
      await connection.rows(FREE_EVENTS);
      await connection.rows(HOLD);
      await connection.rows(NUMBER_FROM, [firstId]);
      for (let count = PAGE; count === PAGE; ) {
        const tables = new BatchTables(NO_LIFE, false, { firstIds: [] });
        for (const row of await connection.rows<AttemptTuple>(OPEN)) tables.attempts.orphans.push(tables.attempts.load(attemptRow(row)));
        count = closeByRestore(tables, PAGE, nowMs);
        await flush(connection, tables, NO_LIFE);
      }
      await connection.rows(NOTE, [nowMs, firstId]);
      await connection.rows(CONTINUED, [server]);
    }
    await connection.rows(COMMIT);
    return !isDone;
  } catch (error) {
    if (!connection.isLost) await connection.rows(ROLLBACK);
    throw error;
  }
}
