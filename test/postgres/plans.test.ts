import { readdirSync, readFileSync } from "node:fs";
import type { Client } from "pg";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Connection } from "../../src/journal/postgres/connection.ts";
import { shareCouriers } from "../../src/journal/postgres/courier-shares.ts";
import { PostgresStore } from "../../src/journal/postgres/postgres-store.ts";
import type { Statement } from "../../src/journal/postgres/sql.ts";
import type { Operation } from "../../src/journal/protocol.ts";
import { CancelScope } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { freshDatabase, type PostgresVersion, WITHOUT_DEBIAN_POSTGRES } from "../support/postgres/index.ts";
import { fill } from "./queries/fill.ts";
import { connect } from "./queries/queries-fixture.ts";

const FOLDER = new URL("../../src/journal/postgres/", import.meta.url);
const ORDERS = 60_000;
// Pages of tables and indexes that a statement may look at for a handful of rows. The walk of the smallest index has 400.
const MOST_PAGES = 300;
// They look at 64 rows more than are asked for.
const MOST_PAGES_OF_DUE = 1_200;
// Asked before and after each statement, in its session and its transaction: what the transaction has read.
const PAGES: Statement = {
  name: "pages",
  text: `SELECT sum(pg_stat_get_xact_blocks_fetched(oid)) FROM pg_class WHERE relnamespace = to_regnamespace('order_pipeline') AND relkind IN ('r', 'i')`,
};

afterEach(() => {
  vi.restoreAllMocks();
});

function dear(pages: ReadonlyMap<string, number>): (readonly [name: string, pages: number])[] {
  return [...pages].filter(([name, count]) => count > (name.startsWith("due_") ? MOST_PAGES_OF_DUE : MOST_PAGES));
}

/** Notes of each statement of the store's sessions the most pages that it has looked at. */
function countPages(): Map<string, number> {
  const pages = new Map<string, number>();
  const { rows } = Connection.prototype;
  vi.spyOn(Connection.prototype, "rows").mockImplementation(async function (
    this: Connection,
    statement: Statement,
    values?: readonly unknown[],
  ) {
    const counted = () => rows.call(this, PAGES) as Promise<[number][]>;
    const [before, result, after] = await Promise.all([counted(), rows.call(this, statement, values), counted()]);
    const [from, to] = [Number(before[0]?.[0]), Number(after[0]?.[0])];
    // Outside a transaction the server may begin to count anew.
    pages.set(statement.name, Math.max(pages.get(statement.name) ?? 0, to < from ? to : to - from));
    return result as never;
  });
  return pages;
}

/** A life that is dead, with an attempt, a compensation and an event of its own. Returns its number. */
async function deadLife(client: Client, orderId: string): Promise<number> {
  const { rows } = await client.query<{ life: number }>(
    `INSERT INTO nodes (name, version, schema_version, lease_ms, started_ms) VALUES ('dead', '0', 1, 1, 1) RETURNING life`,
  );
  const { life } = rows[0] as { life: number };
  await client.query("INSERT INTO attempts (order_id, attempt, amount, accepted_ms, open_by) VALUES ($1, 1, 1, 1, $2)", [orderId, life]);
  await client.query("UPDATE compensations SET state = 'trying', taken_by = $1 WHERE id = (SELECT max(id) FROM compensations)", [life]);
  await client.query("UPDATE outbox SET taken_by = $1 WHERE seq = (SELECT max(seq) FROM outbox)", [life]);
  return life;
}

/** Sends every operation and each statement beside them, with a few rows each. `round`: names its orders. */
async function useEverything(store: PostgresStore, client: Client, round: string): Promise<void> {
  const send = (...operation: Operation) => store.request(operation);
  const nowMs = Date.now();
  const due = [nowMs, 5, false, []] as const;
  const placed = [1, 2, 3].map((n) => `${round}-placed-${n}`);
  const [failed, held, again, old] = ["failed", "held", "again", "old"].map((name) => `${round}-${name}`) as [
    string,
    string,
    string,
    string,
  ];
  await Promise.all([...placed, failed, held, old].map((orderId) => send("accept", orderId, 1, nowMs)));
  const withKey = () => send("accept", again, 1, nowMs, "client", round, "hash", nowMs + 1);
  await withKey();
  await send("finish", old, 1, "timeout", "{}", 1, nowMs, null);
  await send("finish", again, 1, "timeout", "{}", 0, nowMs, null);
  await withKey();
  await Promise.all(placed.map((orderId) => send("finish", orderId, 1, null, "{}", 1, nowMs, null)));
  const steps = [
    ["payment", true],
    ["vendor", true],
  ] as const;
  const [done, settled] = (await store.request(["finish", failed, 1, "timeout", "{}", 0, nowMs, steps])) as [number, number];
  const [third] = (await store.request(["finish", held, 1, "timeout", "{}", 0, nowMs, steps])) as [number];
  await send("answer", failed, 1, "{}", 1, nowMs, [
    [done, null, null],
    [settled, nowMs, "HTTP 500"],
  ]);
  await send("takeCompensation", settled, nowMs, "ann");
  await send("settleCompensation", settled, "by hand", nowMs, "ann");
  await send("compensationTried", third, nowMs - 1, "HTTP 500", nowMs);
  await send("takeCompensations", "payment", "first", ...due);
  await send("takeCompensations", "payment", "again", ...due);
  const { items } = await store.request(["takeEvents", ...due]);
  const [late, lost, delivered] = items.map(({ seq }) => seq) as [number, number, number];
  await send("eventFailed", late, nowMs + 1_000);
  await send("giveUpEvent", lost, "gone", nowMs);
  await send("eventDelivered", delivered, nowMs);
  await send("redeliver", lost, nowMs, "ann");
  await send("giveUpExpired", nowMs, "gone", nowMs, 5);
  await client.query("UPDATE compensations SET state = 'held', taken_by = NULL WHERE id = $1", [third]);
  await send("confirmRestore", held, nowMs, 5, "ann");
  await send("confirmRestore", undefined, nowMs, 5, "ann");
  await send("retire", nowMs + 10, [], 5);
  await send("expireKeys", nowMs + 10, 5);
  await send("expireDeadLetters", nowMs + 2, 5);
  await send("expireActions", nowMs + 2, 5);
  await send("closeInterrupted", 5, nowMs, nowMs, await deadLife(client, `${round}-dead`));
  await store.others.endOf(placed[0] as string, 1, new CancelScope());
  const isKnown = Promise.withResolvers<boolean>();
  store.others.watchWaiters(again, 2, isKnown.resolve);
  await isKnown.promise;
  await store.nodes();
  await shareCouriers(store.sql, () => store.life, { number: nowMs, keep: 0, want: 1, waitedMs: 0, total: 5 });
}

/** The names of all statements of the store, but for its reads. */
function statementNames(): string[] {
  const files = [
    ...readdirSync(new URL("batch/", FOLDER)).map((file) => `batch/${file}`),
    "waiting.ts",
    "node-list.ts",
    "takeover.ts",
    "courier-shares.ts",
  ];
  return (
    files
      .flatMap((file) =>
        [...readFileSync(new URL(file, FOLDER), "utf8").matchAll(/(?:name: |statement\()"([a-z_]+)"/g)].map(([, name]) => name as string),
      )
      // Only after a commit whose reply was lost.
      .filter((name) => !name.startsWith("read_added"))
  );
}

describe.each<PostgresVersion>(["npm", "debian"])("plans of %s", (version) => {
  test.skipIf(version === "debian" && WITHOUT_DEBIAN_POSTGRES !== undefined)(
    "no statement for a few rows walks a table or an index, with plans that were made for few rows or many",
    async () => {
      await using database = await freshDatabase(version);
      const pages = countPages();
      const node = { name: "one", version: "0", leaseMs: 60_000 };
      const store = await PostgresStore.open(database.url, { node, callsEndMs: 1, events: true });
      const client = await connect(database.url);
      try {
        // Statistics would have the statements planned anew.
        for (const table of [
          "attempts",
          "compensations",
          "outbox",
          "dead_letters",
          "operator_actions",
          "idempotency_keys",
          "nodes",
          "waiters",
        ])
          await client.query(`ALTER TABLE ${table} SET (autovacuum_enabled = off)`);
        await client.query(
          "SELECT setval(pg_get_serial_sequence('attempts', 'id'), 1000000), setval(pg_get_serial_sequence('outbox', 'seq'), 1000000)",
        );
        await useEverything(store, client, "empty");
        const names = statementNames();
        const unseen = () => names.filter((name) => !pages.has(name));
        const seeAll = () => eventually("every statement", unseen, ({ length }) => length === 0);
        await seeAll();
        // From here on they are planned anew, for tables of a few rows.
        await client.query("VACUUM ANALYZE");
        await useEverything(store, client, "few");

        await fill(client, ORDERS);
        pages.clear();
        await useEverything(store, client, "full");
        await seeAll();
        expect(pages.get("write_batch")).toBeGreaterThan(3);
        expect(dear(pages)).toEqual([]);

        await client.query("VACUUM ANALYZE");
        pages.clear();
        await useEverything(store, client, "counted");
        expect(dear(pages)).toEqual([]);
      } finally {
        await store.close();
        await client.end();
      }
    },
  );
});
