import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { MIGRATIONS, SCHEMA } from "../../src/journal/postgres/schema.ts";
import type { Sql, Statement } from "../../src/journal/postgres/sql.ts";
import { PostgresWaiting } from "../../src/journal/postgres/waiting.ts";
import { JournalUnreachable, type StoredAnswer } from "../../src/orders/order-journal.ts";
import { timers } from "../leaks/timers.ts";
import { eventually } from "../support/eventually.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres/index.ts";

const INT8 = 20;

/** A connection that tells what was asked of it, and that fails when the test says so. */
class TestSql implements Sql {
  readonly asked: string[] = [];
  /** Before a statement is sent. */
  before: ((name: string) => unknown) | undefined;
  /** After it was executed: its reply is lost. */
  after: ((name: string) => unknown) | undefined;
  isBusy = false;
  readonly client: pg.Client;

  constructor(client: pg.Client) {
    this.client = client;
  }

  async rows<Row extends readonly unknown[]>({ name, text }: Statement, values: readonly unknown[] = []): Promise<Row[]> {
    this.before?.(name);
    this.isBusy = true;
    const { rows } = await this.client.query({ name, text, values: [...values], rowMode: "array" }).finally(() => (this.isBusy = false));
    this.asked.push(name);
    this.after?.(name);
    return rows as unknown as Row[];
  }

  times(name: string): number {
    return this.asked.filter((each) => each === name).length;
  }

  /** Looks go on: so many more of one kind have come. */
  async more(name: string, times = 3): Promise<void> {
    const before = this.times(name);
    await eventually(`${times} more of ${name}`, () => this.times(name) >= before + times);
  }
}

export function unreachable(): never {
  throw new JournalUnreachable("the server is away");
}

let database: FreshDatabase;
export let admin: pg.Client;
const clients: pg.Client[] = [];
const nodes: TestSql[] = [];
export let timersBefore: number;
export const faults: unknown[] = [];

async function connect(): Promise<pg.Client> {
  const types = { getTypeParser: (oid: number, format: "text") => (oid === INT8 ? Number : pg.types.getTypeParser(oid, format)) };
  const client = new pg.Client({ connectionString: database.url, types: types as pg.CustomTypesConfig });
  await client.connect();
  clients.push(client);
  await client.query(`SET search_path = ${SCHEMA}`);
  return client;
}

beforeAll(async () => {
  database = await freshDatabase();
  admin = await connect();
  await admin.query(`CREATE SCHEMA ${SCHEMA}`);
  for (const { sql } of MIGRATIONS) await admin.query(sql);
  for (const name of ["a", "b", "c"]) {
    await admin.query("INSERT INTO nodes (name, version, schema_version, lease_ms, started_ms) VALUES ($1, '1', 1, 5000, 0)", [name]);
  }
});

beforeEach(() => {
  nodes.length = 0;
  faults.length = 0;
  timersBefore = timers();
});

afterEach(async () => {
  await eventually("no poll and no look", () => timers() === timersBefore && nodes.every(({ isBusy }) => !isBusy));
  const left = await waiters();
  await admin.query("TRUNCATE attempts, waiters");
  await admin.query("UPDATE nodes SET ended_ms = NULL");
  expect([left, faults]).toEqual([[], []]);
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()));
  await database[Symbol.asyncDispose]();
});

/** What a node of that life has. */
export async function node(life: number | (() => number)): Promise<{ sql: TestSql; waiting: PostgresWaiting }> {
  const sql = new TestSql(await connect());
  nodes.push(sql);
  const lifeOf = typeof life === "number" ? () => life : life;
  return { sql, waiting: new PostgresWaiting({ sql, life: lifeOf, onFault: (_, error) => void faults.push(error) }) };
}

export async function open(orderId: string, attempt = 1, life = 1): Promise<void> {
  await admin.query("INSERT INTO attempts (order_id, attempt, amount, accepted_ms, open_by) VALUES ($1, $2, 1, 0, $3)", [
    orderId,
    attempt,
    life,
  ]);
}

/** As a failed attempt with compensations is stored: first how it ended, then its answer. */
export async function fail(orderId: string, error = "no_courier"): Promise<void> {
  await admin.query("UPDATE attempts SET ended_ms = 1, error = $2, answer = 'early' WHERE order_id = $1", [orderId, error]);
}

export async function close(orderId: string, answered: 0 | 1, answer = "{}"): Promise<void> {
  await admin.query("UPDATE attempts SET ended_ms = 1, open_by = NULL, answered = $2, answer = $3 WHERE order_id = $1", [
    orderId,
    answered,
    answer,
  ]);
}

export async function waiters(): Promise<string[]> {
  const { rows } = await admin.query("SELECT order_id, attempt, life FROM waiters ORDER BY 1, 2, 3");
  return rows.map(({ order_id, attempt, life }) => `${order_id}:${attempt} by ${life}`);
}

export const noWaiters = () => eventually("no waiters", waiters, ({ length }) => length === 0);
export const waiterRows = (...expected: string[]) =>
  eventually(`waiters ${expected}`, waiters, (seen) => seen.join() === expected.toSorted().join());

/** How a promise has ended by now. */
export function resultOf(promise: Promise<StoredAnswer | undefined>): () => unknown {
  let result: unknown = "waits";
  promise.then(
    (answer) => (result = answer),
    (error: unknown) => (result = error),
  );
  return () => result;
}
