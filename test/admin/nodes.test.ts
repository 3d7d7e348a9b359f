import express from "express";
import { Client, types } from "pg";
import { expect, test } from "vitest";
import { nodeRoutes } from "../../src/admin/node-routes.ts";
import { addRoutes, errorAnswers } from "../../src/http/routes.ts";
import { listNodes } from "../../src/journal/postgres/node-list.ts";
import { MIGRATIONS, SCHEMA } from "../../src/journal/postgres/schema.ts";
import type { Sql } from "../../src/journal/postgres/sql.ts";
import type { NodeState, OperatorJournal } from "../../src/orders/operator-journal.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import { send } from "../support/http-client.ts";
import { freshDatabase } from "../support/postgres/index.ts";
import { startService } from "../support/service.ts";
import { listenPlainly } from "./listen-plainly.ts";
import { metricsOfNodes } from "./quiet-sources.ts";

const INT8 = 20;
const NODE: NodeState = {
  name: "shop-1",
  life: 7,
  version: "1.2.3",
  leaseMs: 5_000,
  startedMs: Date.UTC(2026, 10, 23),
  ordersUnderWay: 3,
  isThis: true,
};

/** Asks the route of a journal. */
async function ask(journal: Pick<OperatorJournal, "nodes">, path = "/nodes") {
  const app = express();
  addRoutes(app, nodeRoutes(journal));
  app.use(errorAnswers(() => {}));
  const listener = await listenPlainly(app);
  try {
    return await send(listener.port, { path });
  } finally {
    await listener.close();
  }
}

test("GET /nodes lists who lives, and says who answers", async () => {
  const { isThis, ...other } = NODE;
  const { status, json } = await ask({ nodes: async () => [NODE, { ...other, name: "shop-2", life: 9, isThis: false }] });
  const shown = { version: "1.2.3", lease_ms: 5_000, started_at: "2026-11-23T00:00:00.000Z", orders_under_way: 3 };
  expect(status).toBe(200);
  expect(json).toEqual({
    nodes: [
      { name: "shop-1", life: 7, ...shown, this: true },
      { name: "shop-2", life: 9, ...shown },
    ],
  });
  expect((await ask({ nodes: async () => [NODE] }, "/nodes?all=1")).json.error).toEqual({
    kind: "bad_request",
    message: "all: is not a known parameter; there is none here",
  });
});

test("the journal of one process has no nodes: 404 says why, and there is no metric", async () => {
  await using server = await startService();
  const { status, json } = await send(server.adminPort, { path: "/nodes" });
  expect([status, json.error.kind]).toEqual([404, "not_found"]);
  expect(json.error.message).toContain("not on PostgreSQL");
  expect((await send(server.adminPort, { method: "POST", path: "/nodes" })).headers.allow).toBe("GET, HEAD");
  expect((await send(server.adminPort, { path: "/metrics" })).text).not.toMatch(/\bnodes[ {]/);
});

test("the metric counts them, names the node that says it, and is left out while the journal cannot be read", async () => {
  const others = [2, 3].map((life) => ({ ...NODE, name: `other-${life}`, life, isThis: false }));
  expect(await metricsOfNodes(async () => [...others, NODE])).toContain('# TYPE nodes gauge\nnodes{node="shop-1"} 3\n');
  // While others have ended its life.
  expect(await metricsOfNodes(async () => others)).toContain("# TYPE nodes gauge\nnodes 2\n");
  const away = () => Promise.reject(new JournalUnavailable("the database is away"));
  expect(await metricsOfNodes(away)).not.toMatch(/^nodes[ {]/m);
  await expect(metricsOfNodes(() => Promise.reject(new TypeError("bug")))).rejects.toThrow("bug");
});

test("on PostgreSQL those are listed that have not ended, by name and life, with the orders that each has open", async () => {
  await using database = await freshDatabase();
  const client = new Client({
    connectionString: database.url,
    types: { getTypeParser: (oid: number) => (oid === INT8 ? Number : types.getTypeParser(oid)) },
  });
  // It is dropped under this session.
  client.on("error", () => {});
  await client.connect();
  const sql: Sql = {
    rows: async ({ text }, values = []) => (await client.query({ text, values: [...values], rowMode: "array" })).rows as never,
  };
  await client.query(`CREATE SCHEMA ${SCHEMA}; SET search_path = ${SCHEMA}`);
  for (const migration of MIGRATIONS) await client.query(migration.sql);
  expect(await listNodes(sql, 1)).toEqual([]);

  // In the order of the database's own collation "b" comes before "C".
  await client.query(
    `INSERT INTO nodes (name, version, schema_version, lease_ms, started_ms, ended_ms)
     VALUES ('b', '1.0.0', 1, 5000, 1000, NULL), ('C', '1.0.1', 1, 4000, 2000, NULL), ('b', '1.0.1', 1, 5000, 3000, NULL),
            ('dead', '1.0.0', 1, 5000, 4000, 5000)`,
  );
  await client.query(
    `INSERT INTO attempts (order_id, attempt, amount, accepted_ms, open_by)
     SELECT 'o' || n, 1, 1, 1, CASE WHEN n <= 4 THEN 1 WHEN n <= 6 THEN 2 WHEN n <= 7 THEN 4 END FROM generate_series(1, 20) n`,
  );
  const lines = (await listNodes(sql, 1)).map(({ name, life, version, leaseMs, startedMs, ordersUnderWay, isThis }) =>
    [name, life, version, leaseMs, startedMs, ordersUnderWay, isThis].join(" "),
  );
  expect(lines).toEqual(["C 2 1.0.1 4000 2000 2 false", "b 1 1.0.0 5000 1000 4 true", "b 3 1.0.1 5000 3000 0 false"]);
});
