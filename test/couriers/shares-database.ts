import { type CustomTypesConfig, Pool, types } from "pg";
import { type CourierRequest, shareCouriers } from "../../src/journal/postgres/courier-shares.ts";
import { MIGRATIONS, SCHEMA } from "../../src/journal/postgres/schema.ts";
import type { Sql, Statement } from "../../src/journal/postgres/sql.ts";
import { freshDatabase } from "../support/postgres/index.ts";

const INT8 = 20;
// Those that a test has asked for stay its own until the end of the file.
const MOST_CONNECTIONS = 40;
const TYPES = {
  getTypeParser: (oid: number, format?: "text") => (oid === INT8 ? Number : types.getTypeParser(oid, format)),
} as CustomTypesConfig;

export interface Held {
  readonly life: number;
  readonly held: number;
  readonly wanted: number;
}

/** A database with the schema and as many connections as a test asks for. */
export class SharesDatabase implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #stack: AsyncDisposableStack;

  private constructor(pool: Pool, stack: AsyncDisposableStack) {
    this.#pool = pool;
    this.#stack = stack;
  }

  static async open(): Promise<SharesDatabase> {
    await using opening = new AsyncDisposableStack();
    const { url: connectionString } = opening.use(await freshDatabase());
    const pool = new Pool({ max: MOST_CONNECTIONS, connectionString, options: `-c search_path=${SCHEMA}`, types: TYPES });
    // The database is dropped with sessions that are still ending.
    pool.on("error", () => {});
    pool.on("connect", (client) => client.on("error", () => {}));
    opening.defer(() => pool.end());
    await pool.query(`CREATE SCHEMA ${SCHEMA}`);
    for (const { sql } of MIGRATIONS) await pool.query(sql);
    await pool.query("INSERT INTO cluster (id, version, works_with, continued_on) VALUES ('c', 1, 1, '')");
    return new SharesDatabase(pool, opening.move());
  }

  /** A connection of a node's own. */
  async sql(): Promise<Sql> {
    const client = await this.#pool.connect();
    this.#stack.defer(() => client.release());
    return {
      async rows<Row extends readonly unknown[]>({ name, text }: Statement, values: readonly unknown[] = []) {
        const { rows } = await client.query({ name, text, values: [...values], rowMode: "array" });
        return rows as unknown as Row[];
      },
    };
  }

  async begin({ held = 0, wanted = 0, waitedMs = 0 } = {}): Promise<number> {
    const { rows } = await this.#pool.query(
      `INSERT INTO nodes (name, version, schema_version, lease_ms, started_ms, couriers_held, couriers_wanted, couriers_waited_ms)
       VALUES ('n', '1', 1, 5000, 0, $1, $2, $3) RETURNING life`,
      [held, wanted, waitedMs],
    );
    return rows[0].life;
  }

  /** As another node does with one that is dead. */
  async end(life: number): Promise<void> {
    await this.#pool.query("UPDATE nodes SET ended_ms = 1 WHERE life = $1", [life]);
  }

  async endAll(): Promise<void> {
    await this.#pool.query("UPDATE nodes SET ended_ms = 1 WHERE ended_ms IS NULL");
  }

  /** The lives that have not ended, in one look. */
  async alive(): Promise<readonly Held[]> {
    const { rows } = await this.#pool.query(
      "SELECT life, couriers_held AS held, couriers_wanted AS wanted FROM nodes WHERE ended_ms IS NULL ORDER BY life",
    );
    return rows;
  }

  /** Whether a statement waits for a lock here. */
  async waitingForLocks(): Promise<boolean> {
    const { rows } = await this.#pool.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
    return rows.length > 0;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

let requests = 0;

/** A request of a life, later than all before. */
export function share(sql: Sql, life: number, over: Partial<CourierRequest> = {}) {
  return shareCouriers(sql, () => life, { number: ++requests, keep: 0, want: 0, waitedMs: 0, total: 5, ...over });
}

export function sumOf(alive: readonly Held[]): number {
  return alive.reduce((sum, { held }) => sum + held, 0);
}
