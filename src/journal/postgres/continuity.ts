import { TRANSITIONS } from "../../orders/compensation-state.ts";
import { JournalUnavailable } from "../../orders/order-journal.ts";
import { monotonicMs } from "../../threads/index.ts";
import { closeByRestore, firstIdAfterRestore } from "../rules/restores.ts";
import { stateChange } from "../sql/state-change.ts";
import { BatchTables } from "./batch/batch-tables.ts";
import { flush } from "./batch/flush.ts";
import { ATTEMPT_COLUMNS, loadAttempts } from "./batch/rows.ts";
import type { Connection } from "./connection.ts";
import type { Life } from "./life.ts";
import { migrate } from "./migrate.ts";
import { openById } from "./queries/compensation-list.ts";
import { BEGIN, COMMIT, ROLLBACK, statement } from "./sql.ts";

// The timeline changes with each promotion and each recovery to a point in time.
const SERVER = statement("server")`
    SELECT continued_on, (SELECT system_identifier FROM pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
         FROM cluster`;
const CONTINUE = statement("continue")`UPDATE cluster SET continued_on = $1, continued_at = now() WHERE continued_on <> $1`;
const LAST_BATCH = statement("last_batch")`SELECT last_batch FROM nodes WHERE life = $1 AND ended_ms IS NULL`;
const RESTORES = statement("restores")`SELECT first_id FROM restores ORDER BY id DESC`;

const POLL_MS = 200;

/** The database is no journal that this node may use; the message says why. */
export class UnfitDatabase extends Error {}

/**
 * Whether a server has all that was acknowledged: a promoted standby, or a recovery to a point in time, may not. A node that lives knows,
 * by its own last batch. Where none can know, or one misses its batch, the journal counts as made of a backup: nothing of it goes on by
 * itself.
 */
export class Continuity {
  readonly #leaseMs: number;
  readonly #onRestored: () => void;
  #clusterId: string | undefined;
  /** Its system identifier and timeline. */
  server = "";
  /** Of each restore the first id that was given since, newest first. */
  firstIds: readonly number[] = [];

  constructor(leaseMs: number, onRestored: () => void) {
    this.#leaseMs = leaseMs;
    this.#onRestored = onRestored;
  }

  /** Before this node does anything there. `life`: its own, where it had one. Rejects with `UnfitDatabase`, and as the connection does. */
  async check(connection: Connection, life: Life | undefined): Promise<void> {
    const identity = await migrate(connection);
    if ("failure" in identity) throw new UnfitDatabase(identity.failure);
    if (this.#clusterId !== undefined && this.#clusterId !== identity.clusterId)
      throw new UnfitDatabase(`its cluster is ${identity.clusterId} and not ${this.#clusterId}`);
    this.#clusterId = identity.clusterId;
    if (!(await this.#isContinued(connection, life)) && (await holdEverything(connection, this.server, life?.number))) this.#onRestored();
  }

  /**
   * Once the node's life is held there: a restore that others note from then on ends that life, so no batch is written without it. One that
   * they noted between the check and the life is read here.
   */
  async readRestores(connection: Connection): Promise<void> {
    this.firstIds = (await connection.rows<[number]>(RESTORES)).map(([firstId]) => firstId);
  }

  async #isContinued(connection: Connection, life: Life | undefined): Promise<boolean> {
    const startMs = monotonicMs();
    for (;;) {
      const [row] = await connection.rows<[string, string]>(SERVER);
      if (row === undefined) throw new JournalUnavailable("the database has no cluster");
      const [continuedOn, server] = row;
      if (isBehind(server, this.server)) {
        throw new UnfitDatabase(
          `it was replaced by a standby (${server}, and this node has seen ${this.server} since); a restart believes it`,
        );
      }
      this.server = server;
      const batch = life === undefined ? undefined : (await connection.rows<[number]>(LAST_BATCH, [life.number]))[0]?.[0];
      if (life !== undefined && batch !== undefined) {
        if (batch < life.lastBatch) return false;
        await connection.rows(CONTINUE, [server]);
        return true;
      }
      if (continuedOn === server) return true;
      if (continuedOn === "") {
        await connection.rows(CONTINUE, [server]);
        return true;
      }
      // Nodes that live tell within a lease.
      if (monotonicMs() - startMs > this.#leaseMs) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

/** Whether a server is one that another has replaced: of the same origin, on an earlier timeline. A node never goes back to it by itself. */
function isBehind(server: string, known: string): boolean {
  return server.split("/")[0] === known.split("/")[0] && server < known;
}

const PAGE = 1_000;
const NO_LIFE = 0;
const SEQUENCES = ["attempts_id_seq", "compensations_id_seq", "outbox_seq_seq", "operator_actions_id_seq"];

// Who was before has done it already, unless it knows nothing of what this node misses.
const IS_DONE = statement("restore_is_done")`
    SELECT continued_on = $1 AND NOT EXISTS (SELECT 1 FROM nodes WHERE life = $2 AND ended_ms IS NULL) FROM cluster FOR UPDATE`;
// Who runs learns that its life is over, and looks at the server anew.
const END_LIVES = statement("end_lives")`UPDATE nodes SET ended_ms = $1 WHERE ended_ms IS NULL`;
const FREE_EVENTS = statement("free_events")`UPDATE outbox SET taken_by = NULL WHERE taken_by IS NOT NULL`;
// All at once would take longer than a lease where a provider was down for long.
const ROWS = 10_000;
const HOLD = statement("hold")`
    WITH page AS (${openById("id", "rising", TRANSITIONS.restored.from, ROWS)}),
      held AS (${stateChange("restored", "next_try_ms = NULL, taken_by = NULL", "id = ANY (ARRAY(SELECT id FROM page))")})
    SELECT max(id) FROM page`;
const OPEN = statement("restore_open")`SELECT ${ATTEMPT_COLUMNS} FROM attempts a WHERE open_by IS NOT NULL ORDER BY id LIMIT ${PAGE}`;
const HIGHEST = statement("highest_id")`
    SELECT greatest(${SEQUENCES.map((sequence) => `(SELECT last_value FROM ${sequence})`).join(", ")}, (SELECT max(first_id) FROM restores))`;
const NUMBER_FROM = statement("number_from")`SELECT ${SEQUENCES.map((sequence) => `setval('${sequence}', $1::bigint)`).join(", ")}`;
const NOTE = statement("note_restore")`INSERT INTO restores (restored_ms, first_id) VALUES ($1, $2)`;
const CONTINUE_RESTORED = statement("restored_on")`UPDATE cluster SET continued_on = $1, continued_at = now()`;

/**
 * Holds all that is open in a database that came from a backup, or lost what came last. `life`: that of this node, where it had one.
 * Returns whether there was anything to do: of two nodes that start at one time one does it.
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
      for (let last: number | null = 0; last !== null; ) last = (await connection.rows<[number | null]>(HOLD, [last]))[0]?.[0] ?? null;
      await connection.rows(NUMBER_FROM, [firstId]);
      for (let count = PAGE; count === PAGE; ) {
        const tables = new BatchTables(NO_LIFE, false, { firstIds: [] });
        tables.attempts.orphans.push(...(await loadAttempts(connection, tables, OPEN, [])));
        count = closeByRestore(tables, PAGE, nowMs);
        await flush(connection, tables, NO_LIFE);
      }
      await connection.rows(NOTE, [nowMs, firstId]);
      await connection.rows(CONTINUE_RESTORED, [server]);
    }
    await connection.rows(COMMIT);
    return !isDone;
  } catch (error) {
    if (!connection.isLost) await connection.rows(ROLLBACK);
    throw error;
  }
}
