import { JournalUnavailable } from "../../orders/order-journal.ts";
import { monotonicMs } from "../../threads/index.ts";
import type { Connection } from "./connection.ts";
import type { Life } from "./life.ts";
import { migrate } from "./migrate.ts";
import { holdEverything } from "./restore.ts";
import type { Statement } from "./sql.ts";

// The timeline changes with each promotion and each recovery to a point in time.
const SERVER: Statement = {
  name: "server",
  text: `SELECT c.id, c.continued_on, (SELECT system_identifier FROM pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
         FROM cluster c`,
};
const CONTINUE: Statement = {
  name: "continue",
  text: "UPDATE cluster SET continued_on = $1, continued_at = now() WHERE continued_on <> $1",
};
const LAST_BATCH: Statement = { name: "last_batch", text: "SELECT last_batch FROM nodes WHERE life = $1 AND ended_ms IS NULL" };
const RESTORES: Statement = { name: "restores", text: "SELECT first_id FROM restores ORDER BY id DESC" };

const POLL_MS = 200;

/** The database is no journal that this node may use; the message says why. */
export class UnfitDatabase extends Error {}

/**
 * Whether a server has all that was acknowledged. A standby that was promoted, or a recovery to a point in time, may lack what came last. A node
 * that lives knows: its own last batch is there, or not. Where no node can know, all started since, and where one is missing what it had
 * acknowledged, the journal counts as made of a backup: nothing of it goes on by itself. Main thread only.
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

  /**
   * Looks at a server that was connected to, before this node does anything there. `life`: that of this node, where it had one. Rejects with
   * `UnfitDatabase`, and as the connection does.
   */
  async check(connection: Connection, life: Life | undefined): Promise<void> {
    const identity = await migrate(connection);
    if ("failure" in identity) throw new UnfitDatabase(identity.failure);
    if (this.#clusterId !== undefined && this.#clusterId !== identity.clusterId)
      throw new UnfitDatabase(`its cluster is ${identity.clusterId} and not ${this.#clusterId}`);
    this.#clusterId = identity.clusterId;
    if (!(await this.#isContinued(connection, life)) && (await holdEverything(connection, this.server, life?.number))) this.#onRestored();
    this.firstIds = (await connection.rows<[number]>(RESTORES)).map(([firstId]) => firstId);
  }

  async #isContinued(connection: Connection, life: Life | undefined): Promise<boolean> {
    const startMs = monotonicMs();
    for (;;) {
      const [row] = await connection.rows<[string, string, string]>(SERVER);
      if (row === undefined) throw new JournalUnavailable("the database has no cluster");
      const [, continuedOn, server] = row;
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
