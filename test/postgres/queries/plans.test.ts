import type { Client } from "pg";
import { describe, expect, test } from "vitest";
import { PostgresQueries } from "../../../src/journal/postgres/queries/postgres-queries.ts";
import type { Sql, Statement } from "../../../src/journal/postgres/sql.ts";
import { COMPENSATION_STATES } from "../../../src/orders/compensation-state.ts";
import { ORDER_STATUSES } from "../../../src/orders/operator-journal.ts";
import { type PostgresVersion, WITHOUT_DEBIAN_POSTGRES } from "../../support/postgres/index.ts";
import { fill } from "./fill.ts";
import { acceptedMs, QueriesFixture } from "./queries-fixture.ts";

const ORDERS = 120_000;
// Of 120 000 orders, and 60 000 rows of each other kind. Counts look at 10 000 of a kind, lists at 5 000, of each step and state.
const MOST_ROWS = 45_000;
const LIMIT = 100;
// A count of all, in the background.
const MEANT_TO_BE_LONG = 5_000_000;

interface Call {
  readonly statement: Statement;
  readonly values: readonly unknown[];
}

const DEAR: Call = { statement: { name: "dear", text: "" }, values: [] };

interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Rows Removed by Index Recheck"?: number;
  readonly Plans?: readonly PlanNode[];
}

/** Every statement of the reads, with all values that it is called with. The session has them prepared from then on. */
async function calls(at: QueriesFixture): Promise<readonly Call[]> {
  const all = new Map<string, Call>();
  const sql: Sql = {
    rows: (statement, values = []) => {
      if (!values.includes(MEANT_TO_BE_LONG))
        all.set(`${statement.name} ${values.length > 0 && all.has(statement.name) ? values : ""}`, { statement, values });
      return at.sql.rows(statement, values);
    },
  };
  const queries = new PostgresQueries(sql, { firstIds: [] });
  const middle = { sinceMs: acceptedMs(ORDERS / 2), untilMs: acceptedMs(ORDERS / 2 + 1_000) };
  for (const status of [null, ...ORDER_STATUSES]) {
    const { next } = await queries.run(["orders", status, 0, Number.MAX_SAFE_INTEGER, undefined, LIMIT]);
    await queries.run(["orders", status, 0, Number.MAX_SAFE_INTEGER, next, LIMIT]);
    await queries.run(["orders", status, middle.sinceMs, middle.untilMs, undefined, LIMIT]);
  }
  for (const status of COMPENSATION_STATES) await queries.run(["compensations", status, undefined, LIMIT]);
  await queries.run(["compensation", ORDERS / 10]);
  await queries.run(["deadLetters", undefined, LIMIT]);
  await queries.run(["actions", "o77", LIMIT]);
  await queries.run(["lastEndBefore", middle.untilMs]);
  await queries.run(["restore"]);
  await queries.run(["heldAttempts", undefined, LIMIT]);
  await queries.run(["backlog"]);
  return [...all.values()];
}

/** The steps of a plan that touch, or return, more rows than a page has reason for. */
async function dear(client: Client, { statement, values }: Call): Promise<string[]> {
  const literals = values.map((value) => client.escapeLiteral(String(value))).join(", ");
  const explain = `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE "${statement.name}"${literals && `(${literals})`}`;
  const { rows } = await client.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(explain);
  const found: string[] = [];
  const walk = (node: PlanNode) => {
    const touched = node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0) + (node["Rows Removed by Index Recheck"] ?? 0);
    const count = touched * node["Actual Loops"];
    const what = `${node["Node Type"]} ${node["Relation Name"] ?? ""} ${node["Index Name"] ?? ""}`;
    if (count > MOST_ROWS || (node["Node Type"] === "Seq Scan" && touched > LIMIT)) found.push(`${statement.name}: ${what} ${count}`);
    node.Plans?.forEach(walk);
  };
  for (const row of rows) walk(row["QUERY PLAN"][0].Plan);
  return found;
}

function namesOf(calls: readonly Call[]): ReadonlySet<string> {
  return new Set(calls.map(({ statement }) => statement.name));
}

describe.each<PostgresVersion>(["npm", "debian"])("plans of %s", (version) => {
  test.skipIf(version === "debian" && WITHOUT_DEBIAN_POSTGRES !== undefined)(
    "no read walks or sorts a large table, with plans that were made while the tables were empty or full",
    async () => {
      await using at = await QueriesFixture.open(version);
      const { client } = at;
      // Statistics would have the statements planned anew.
      for (const table of ["attempts", "compensations", "outbox", "dead_letters", "operator_actions", "restores"])
        await client.query(`ALTER TABLE ${table} SET (autovacuum_enabled = off)`);
      const empty = await calls(at);
      await client.query("PREPARE dear AS SELECT order_id FROM attempts WHERE amount = 2");
      await client.query("EXPLAIN EXECUTE dear");

      await fill(client, ORDERS);
      const full = await calls(at);
      expect(namesOf(full)).toEqual(namesOf(empty));
      expect(namesOf(full).size).toBeGreaterThanOrEqual(20);
      const expensive = async () => {
        const found: string[] = [];
        for (const call of full) found.push(...(await dear(client, call)));
        return found;
      };
      expect(await expensive()).toEqual([]);
      // It would be seen.
      expect(await dear(client, DEAR)).toEqual([expect.stringMatching(/^dear: Seq Scan attempts/)]);

      // From here on they are planned anew.
      await client.query("VACUUM ANALYZE");
      expect(await expensive()).toEqual([]);
    },
  );
});
