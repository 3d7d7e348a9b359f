import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { MIGRATIONS, SCHEMA } from "../../src/journal/postgres/schema.ts";
import type { Sql, Statement } from "../../src/journal/postgres/sql.ts";
import { Waiting } from "../../src/journal/postgres/waiting.ts";
import { JournalUnreachable, type StoredAnswer } from "../../src/orders/order-journal.ts";
import { CancelScope } from "../../src/threads/index.ts";
import { timers } from "../leaks/timers.ts";
import { eventually } from "../support/eventually.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres/index.ts";
import { seedOf } from "../support/seed.ts";

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

function unreachable(): never {
  throw new JournalUnreachable("the server is away");
}

let database: FreshDatabase;
let admin: pg.Client;
const clients: pg.Client[] = [];
let nodes: TestSql[];
let timersBefore: number;
let faults: unknown[];

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
  nodes = [];
  faults = [];
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
async function node(life: number | (() => number)): Promise<{ sql: TestSql; waiting: Waiting }> {
  const sql = new TestSql(await connect());
  nodes.push(sql);
  const lifeOf = typeof life === "number" ? () => life : life;
  return { sql, waiting: new Waiting({ sql, life: lifeOf, onFault: (_, error) => void faults.push(error) }) };
}

async function open(orderId: string, attempt = 1, life = 1): Promise<void> {
  await admin.query("INSERT INTO attempts (order_id, attempt, amount, accepted_ms, open_by) VALUES ($1, $2, 1, 0, $3)", [
    orderId,
    attempt,
    life,
  ]);
}

/** As a failed attempt with compensations is stored: first how it ended, then its answer. */
async function fail(orderId: string, error = "no_courier"): Promise<void> {
  await admin.query("UPDATE attempts SET ended_ms = 1, error = $2, answer = 'early' WHERE order_id = $1", [orderId, error]);
}

async function close(orderId: string, answered: 0 | 1, answer = "{}"): Promise<void> {
  await admin.query("UPDATE attempts SET ended_ms = 1, open_by = NULL, answered = $2, answer = $3 WHERE order_id = $1", [
    orderId,
    answered,
    answer,
  ]);
}

async function waiters(): Promise<string[]> {
  const { rows } = await admin.query("SELECT order_id, attempt, life FROM waiters ORDER BY 1, 2, 3");
  return rows.map(({ order_id, attempt, life }) => `${order_id}:${attempt} by ${life}`);
}

const noWaiters = () => eventually("no waiters", waiters, ({ length }) => length === 0);
const waiterRows = (...expected: string[]) =>
  eventually(`waiters ${expected}`, waiters, (seen) => seen.join() === expected.toSorted().join());

/** How a promise has ended by now. */
function resultOf(promise: Promise<StoredAnswer | undefined>): () => unknown {
  let result: unknown = "waits";
  promise.then(
    (answer) => (result = answer),
    (error: unknown) => (result = error),
  );
  return () => result;
}

describe("a request that waits for an attempt of another node", () => {
  test("gets its answer once it is closed, and not when it has only ended; its row is there until then", async () => {
    const { sql, waiting } = await node(2);
    await open("o");
    const end = waiting.endOf("o", 1, new CancelScope());
    const result = resultOf(end);
    await waiterRows("o:1 by 2");
    await sql.more("waiters_closed");
    await fail("o");
    await sql.more("waiters_closed");
    expect([result(), await waiters()]).toEqual(["waits", ["o:1 by 2"]]);
    // A row before a look: else a hang-up at the other node may see neither.
    expect(sql.asked.slice(0, 2)).toEqual(["waiters_register", "waiters_closed"]);
    await close("o", 1, '{"late":1}');
    expect(await end).toEqual({ error: "no_courier", json: '{"late":1}' });
    await noWaiters();
    expect(sql.times("waiters_register")).toBe(1);
  });

  test("is to ask the journal again where nobody received the answer, and where the attempt is gone", async () => {
    const { waiting } = await node(2);
    await open("o");
    await open("p");
    const ends = [waiting.endOf("o", 1, new CancelScope()), waiting.endOf("p", 1, new CancelScope())];
    await waiterRows("o:1 by 2", "p:1 by 2");
    await close("o", 0);
    await admin.query("DELETE FROM attempts WHERE order_id = 'p'");
    expect(await Promise.all(ends)).toEqual([undefined, undefined]);
    // One that was closed before is found at once, a placed order's without an error.
    await open("q");
    await close("q", 1, '{"status":"ok"}');
    expect(await waiting.endOf("q", 1, new CancelScope())).toEqual({ json: '{"status":"ok"}' });
  });

  test("waits for its attempt, not for another one of the order", async () => {
    const { sql, waiting } = await node(2);
    await open("o", 1);
    await close("o", 1, "the first");
    await open("o", 2);
    const end = waiting.endOf("o", 2, new CancelScope());
    const result = resultOf(end);
    await sql.more("waiters_closed");
    expect(result()).toBe("waits");
    await admin.query("UPDATE attempts SET open_by = NULL, answered = 1, answer = 'the second' WHERE attempt = 2");
    expect(await end).toEqual({ json: "the second" });
  });

  test("leaves at once; the row goes with the last one, comes back with the next, and is no other attempt's", async () => {
    const { sql, waiting } = await node(2);
    await open("o");
    await open("o", 2);
    const other = waiting.endOf("o", 2, new CancelScope());
    const scopes = [1, 2, 3].map(() => new CancelScope());
    const [first, second, third] = scopes as [CancelScope, CancelScope, CancelScope];
    const left = waiting.endOf("o", 1, first);
    const leaving = waiting.endOf("o", 1, second);
    await waiterRows("o:1 by 2", "o:2 by 2");
    first.cancel("client_disconnected");
    expect(await left).toBeUndefined();
    await sql.more("waiters_closed");
    expect(await waiters()).toEqual(["o:1 by 2", "o:2 by 2"]);
    second.cancel("client_disconnected");
    expect(await leaving).toBeUndefined();
    await waiterRows("o:2 by 2");
    const end = waiting.endOf("o", 1, third);
    await waiterRows("o:1 by 2", "o:2 by 2");
    await close("o", 1);
    expect([await end, await other]).toEqual([{ json: "{}" }, { json: "{}" }]);
    await noWaiters();
    expect(scopes.map(({ listenerCount }) => listenerCount)).toEqual([0, 0, 0]);
  });

  test.each(["it left", "its attempt ended"])(
    "is not lost where it comes while the row of one before is deleted, because %s",
    async (why) => {
      const { sql, waiting } = await node(2);
      await open("o");
      const scope = new CancelScope();
      const first = waiting.endOf("o", 1, scope);
      await waiterRows("o:1 by 2");
      const second = new Promise((resolve) => {
        sql.before = (name) => {
          if (name !== "waiters_unregister") return;
          sql.before = undefined;
          resolve(waiting.endOf("o", 1, new CancelScope()));
        };
      });
      if (why === "it left") scope.cancel("client_disconnected");
      else await close("o", 1);
      await first;
      await sql.more("waiters_register", 1);
      await close("o", 1);
      expect(await second).toEqual({ json: "{}" });
    },
  );

  test("leaves no row behind where its reply was lost and it left meanwhile, or where the delete failed", async () => {
    const { sql, waiting } = await node(2);
    await open("o");
    const scope = new CancelScope();
    let deletes = 0;
    sql.before = (name) => name === "waiters_unregister" && deletes++ < 2 && unreachable();
    sql.after = (name) => {
      if (name !== "waiters_register") return;
      scope.cancel("client_disconnected");
      unreachable();
    };
    expect(await waiting.endOf("o", 1, scope)).toBeUndefined();
    expect(await waiters()).toEqual(["o:1 by 2"]);
    await noWaiters();
    expect(deletes).toBe(3);
  });

  test("is registered again where its node has a new life", async () => {
    let life = 2;
    const { waiting } = await node(() => life);
    await open("o");
    const end = waiting.endOf("o", 1, new CancelScope());
    await waiterRows("o:1 by 2");
    await admin.query("DELETE FROM waiters");
    life = 3;
    await waiterRows("o:1 by 3");
    await close("o", 1);
    await end;
  });

  test("costs nothing once nobody waits", async () => {
    const { sql, waiting } = await node(2);
    await open("o");
    const end = waiting.endOf("o", 1, new CancelScope());
    await eventually("a poll", () => timers() > timersBefore);
    await close("o", 1);
    await end;
    await eventually("the delete", () => sql.times("waiters_unregister") === 1);
    await eventually("no poll", () => timers() === timersBefore);
    const { length } = sql.asked;
    await pause(300);
    expect(sql.asked).toHaveLength(length);
  });

  test("shares its look with all others of the node", async () => {
    const { sql, waiting } = await node(2);
    const ids = Array.from({ length: 200 }, (_, n) => `"o,${n}"\\{}`);
    await admin.query(
      "INSERT INTO attempts (order_id, attempt, amount, accepted_ms, open_by) SELECT id, 1, 1, 0, 1 FROM unnest($1::text[]) id",
      [ids],
    );
    const ends = ids.map((id) => waiting.endOf(id, 1, new CancelScope()));
    await eventually("their rows", waiters, ({ length }) => length === ids.length);
    await sql.more("waiters_closed");
    await admin.query("UPDATE attempts SET open_by = NULL, answered = 1, answer = order_id");
    expect((await Promise.all(ends)).map((end) => end?.json)).toEqual(ids);
    await noWaiters();
    // Those of the first turn, and the rest of them.
    expect(sql.times("waiters_register")).toBeLessThanOrEqual(2);
    expect(sql.times("waiters_unregister")).toBeLessThanOrEqual(2);
  });
});

describe("an attempt that only other nodes wait for", () => {
  test("is awaited until their requests leave, and is told so again and again; then it is looked at no more", async () => {
    const [runs, other] = [await node(1), await node(2)];
    await open("o");
    const scope = new CancelScope();
    const end = other.waiting.endOf("o", 1, scope);
    await waiterRows("o:1 by 2");
    const told: boolean[] = [];
    runs.waiting.watchWaiters("o", 1, (isAwaited) => void told.push(isAwaited));
    await eventually("three looks", () => told.length >= 3);
    expect(told).not.toContain(false);
    scope.cancel("client_disconnected");
    await end;
    await eventually("the end", () => told.includes(false));
    expect(told.filter((isAwaited) => !isAwaited)).toHaveLength(1);
    expect(told.at(-1)).toBe(false);
    await eventually("no poll", () => timers() === timersBefore);
  });

  test("is not awaited by those that wait for another attempt, nor by a node whose life has ended", async () => {
    const { waiting } = await node(1);
    await admin.query("INSERT INTO waiters VALUES ('o', 2, 2), ('p', 1, 2), ('o', 1, 3)");
    await admin.query("UPDATE nodes SET ended_ms = 1 WHERE life = 3");
    const told = await Promise.all([
      new Promise((resolve) => waiting.watchWaiters("o", 1, resolve)),
      new Promise((resolve) => waiting.watchWaiters("o", 2, resolve)),
      new Promise((resolve) => waiting.watchWaiters("p", 1, resolve)),
      new Promise((resolve) => waiting.watchWaiters("q", 1, resolve)),
    ]);
    expect(told).toEqual([false, true, true, false]);
    await admin.query("DELETE FROM waiters");
  });

  test("is told nothing once its watch has stopped, also where a look was under way", async () => {
    const { sql, waiting } = await node(1);
    const told: boolean[] = [];
    const stop = waiting.watchWaiters("o", 1, (isAwaited) => void told.push(isAwaited));
    stop();
    await eventually("the look", () => sql.asked.length === 1);
    await pause(300);
    expect([told, sql.asked.length]).toEqual([[], 1]);
  });

  test("is not awaited as far as anybody knows where the server is away", async () => {
    const { sql, waiting } = await node(1);
    await admin.query("INSERT INTO waiters VALUES ('o', 1, 2)");
    sql.before = unreachable;
    expect(await new Promise((resolve) => waiting.watchWaiters("o", 1, resolve))).toBe(false);
    await admin.query("DELETE FROM waiters");
  });
});

test("attempts are found by their index, also by statements that were planned while the tables were empty", async () => {
  const { sql, waiting } = await node(2);
  const settings = { enable_seqscan: "off", enable_hashjoin: "off", enable_mergejoin: "off", plan_cache_mode: "force_generic_plan" };
  for (const [name, value] of Object.entries(settings)) await sql.client.query(`SET ${name} = ${value}`);
  await admin.query("VACUUM ANALYZE attempts, waiters, nodes");
  await Promise.all([waiting.endOf("o", 1, new CancelScope()), new Promise((resolve) => waiting.watchWaiters("o", 1, resolve))]);
  for (const name of ["waiters_closed", "waiters_awaited"]) {
    const { rows } = await sql.client.query(`EXPLAIN EXECUTE ${name} ('{o}', '{1}')`);
    const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
    expect(plan).toMatch(/Index Cond: \(\(order_id = one.order_id\) AND \(attempt = one.attempt\)\)/);
    expect(plan).not.toMatch(/Seq Scan|Hash|Materialize/);
  }
});

test("what the server refuses is a fault, and requests wait on", async () => {
  const { waiting } = await node(2);
  await open("o");
  await admin.query("ALTER TABLE waiters RENAME TO others");
  const end = waiting.endOf("o", 1, new CancelScope());
  await eventually("faults", () => faults.length >= 2);
  await admin.query("ALTER TABLE others RENAME TO waiters");
  await close("o", 1);
  expect(await end).toEqual({ json: "{}" });
  expect(faults).toContainEqual(expect.objectContaining({ message: expect.stringContaining("waiters") }));
  faults = [];
});

test("whoever comes and goes, and whatever fails: each gets the one answer there is, and no row is left", async () => {
  const seed = seedOf("WAITING_SEED");
  console.info(`WAITING_SEED=${seed}`);
  const drawn = randomFrom(seed);
  const random = (below: number) => Math.floor(drawn() * below);
  const { sql, waiting } = await node(2);
  const ids = ["a", "b", "c", "d"];
  for (const id of ids) await open(id);
  sql.before = () => random(8) === 0 && unreachable();
  sql.after = () => random(8) === 0 && unreachable();
  const requests = Array.from({ length: 300 }, async () => {
    await pause(random(600));
    const id = ids[random(ids.length)] as string;
    const scope = new CancelScope();
    const leaves = random(2) === 0;
    if (leaves) setTimeout(() => scope.cancel("client_disconnected"), random(100));
    const answer = await waiting.endOf(id, 1, scope);
    return leaves && answer === undefined ? undefined : [id, answer?.json];
  });
  for (const id of ids) {
    await pause(random(250));
    await close(id, 1, `of ${id}`);
  }
  for (const [id, json] of (await Promise.all(requests)).filter((each) => each !== undefined)) {
    expect(json).toBe(`of ${id}`);
  }
  sql.before = sql.after = undefined;
}, 60_000);
