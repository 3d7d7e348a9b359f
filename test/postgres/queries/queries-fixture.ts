import { Client, types } from "pg";
import { PostgresQueries } from "../../../src/journal/postgres/queries/postgres-queries.ts";
import { MIGRATIONS, SCHEMA } from "../../../src/journal/postgres/schema.ts";
import type { Sql } from "../../../src/journal/postgres/sql.ts";
import { READING_SETTINGS } from "../../../src/journal/postgres/sql.ts";
import type { Answers } from "../../../src/journal/protocol.ts";
import type { CompensationStatus } from "../../../src/orders/compensation-state.ts";
import type { Cursor, OrderFilter, OrderStatus, Page } from "../../../src/orders/operator-journal.ts";
import { type FreshDatabase, freshDatabase, type PostgresVersion } from "../../support/postgres/index.ts";

const INT8 = 20;
const FIRST_MS = 1_790_000_000_000;

export interface AttemptRow {
  readonly id: number;
  readonly order_id: string;
  readonly attempt?: number;
  readonly accepted_ms?: number;
  readonly open_by?: number;
  readonly ended_ms?: number;
  readonly error?: string;
  readonly interrupted?: number;
}

export interface CompensationRowIn {
  readonly id: number;
  readonly attempt_id: number;
  readonly step: string;
  readonly state: CompensationStatus;
  readonly tries?: number;
  readonly next_try_ms?: number;
  readonly last_answer?: string;
  readonly ended_ms?: number;
  readonly note?: string;
}

/** The reads over a database of their own, into which tests put rows. */
export class QueriesFixture implements AsyncDisposable {
  readonly database: FreshDatabase;
  readonly client: Client;
  readonly sql: Sql;
  readonly queries: PostgresQueries;

  private constructor(database: FreshDatabase, client: Client) {
    this.database = database;
    this.client = client;
    this.sql = sqlOf(client);
    this.queries = new PostgresQueries(this.sql, { firstIds: [] });
  }

  static async open(version?: PostgresVersion): Promise<QueriesFixture> {
    const database = await freshDatabase(version);
    const client = await connect(database.url);
    await client.query(`CREATE SCHEMA ${SCHEMA}`);
    for (const { sql } of MIGRATIONS) await client.query(sql);
    return new QueriesFixture(database, client);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.end();
    await this.database[Symbol.asyncDispose]();
  }

  /** Accepted a second after one another, by their ids. */
  async attempts(...rows: readonly AttemptRow[]): Promise<void> {
    await this.insert(
      "attempts",
      rows.map((row) => ({
        attempt: 1,
        amount: 100 * row.id,
        accepted_ms: acceptedMs(row.id),
        interrupted: 0,
        answered: 0,
        answer: row.ended_ms === undefined ? null : "{}",
        open_by: null,
        ended_ms: null,
        error: null,
        ...row,
      })),
    );
  }

  async compensations(...rows: readonly CompensationRowIn[]): Promise<void> {
    await this.insert(
      "compensations",
      rows.map((row) => ({ tries: 0, next_try_ms: null, last_answer: null, ended_ms: null, note: null, ...row })),
    );
  }

  /** Each row has the same columns. */
  async insert(table: string, rows: readonly object[]): Promise<void> {
    const columns = Object.keys(rows[0] ?? {}).join(", ");
    const values = [JSON.stringify(rows)];
    await this.client.query(
      `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM jsonb_populate_recordset(NULL::${table}, $1)`,
      values,
    );
  }

  orders(filter: OrderFilter, cursor: Cursor | undefined, limit: number): Promise<Answers["orders"]> {
    const { status = null, sinceMs = 0, untilMs = Number.MAX_SAFE_INTEGER } = filter;
    return this.queries.run(["orders", status as OrderStatus | null, sinceMs, untilMs, cursor, limit]);
  }

  compensationPage(status: CompensationStatus, cursor: Cursor | undefined, limit: number): Promise<Answers["compensations"]> {
    return this.queries.run(["compensations", status, cursor, limit]);
  }
}

/** A session as the service has them for its reads, but that tests write many rows with it too. */
export async function connect(url: string): Promise<Client> {
  const client = new Client({
    connectionString: url,
    options: Object.entries({ ...READING_SETTINGS, statement_timeout: 0, search_path: SCHEMA })
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(" "),
    types: { getTypeParser: (oid: number) => (oid === INT8 ? Number : types.getTypeParser(oid)) } as never,
  });
  // Its database is dropped under it.
  client.on("error", () => {});
  await client.connect();
  return client;
}

export function sqlOf(client: Client): Sql {
  return {
    rows: async ({ name, text }, values = []) => (await client.query({ name, text, values: [...values], rowMode: "array" })).rows as never,
  };
}

/** When the attempt of an id was accepted, unless its row says otherwise. */
export function acceptedMs(id: number): number {
  return FIRST_MS + 1_000 * id;
}

/** All pages. A cursor goes to the client and back as text. */
export async function pages<Item>(
  read: (cursor: Cursor | undefined) => Promise<Page<Item>>,
  between: () => Promise<void> = async () => {},
): Promise<(readonly Item[])[]> {
  const all: (readonly Item[])[] = [];
  for (let cursor: Cursor | undefined; ; ) {
    const { items, next }: Page<Item> = await read(cursor);
    all.push(items);
    if (next === undefined) return all;
    cursor = JSON.parse(JSON.stringify(next)) as Cursor;
    await between();
  }
}
