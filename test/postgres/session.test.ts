import { Client } from "pg";
import { expect, test } from "vitest";
import { parseAddress, type Target, targetsOf } from "../../src/journal/postgres/address.ts";
import type { Connection } from "../../src/journal/postgres/connection.ts";
import { Continuity } from "../../src/journal/postgres/continuity.ts";
import { Session } from "../../src/journal/postgres/session.ts";
import { eventually } from "../support/eventually.ts";
import { freshDatabase } from "../support/postgres/index.ts";

const targetOf = (url: string) => targetsOf(parseAddress(url) as never)[0] as Target;

/** A node's session, with what it was told. */
async function startSession(url: () => string, leaseMs: number) {
  const changes: string[] = [];
  const continuity = new Continuity(leaseMs, () => void changes.push("restored"));
  const session = await Session.start({
    targets: () => [targetOf(url())],
    node: { name: "one", version: "0.0.0", leaseMs },
    check: (connection, life) => continuity.check(connection, life),
    onLife: (connection) => continuity.readRestores(connection),
    onChange: (connected, reason) => void changes.push(`${connected}: ${reason}`),
    onEnded: () => void changes.push("ended"),
  });
  return { session, changes, [Symbol.dispose]: () => session.close() };
}

async function queryAt<Row extends object>(url: string, text: string, values: readonly unknown[] = []): Promise<Row[]> {
  const client = new Client({ connectionString: url, options: "-c search_path=order_pipeline" });
  await client.connect();
  try {
    return (await client.query<Row>(text, [...values])).rows;
  } finally {
    await client.end();
  }
}

test("a node that finds another cluster behind its address writes nothing there and says so, and goes on in its own with the same life", async () => {
  await using own = await freshDatabase();
  await using other = await freshDatabase();
  let url = other.url;
  // Made and left by others.
  (await startSession(() => url, 10_000)).session.close();
  const all = "SELECT (SELECT count(*) FROM nodes) AS nodes, continued_on, continued_at FROM cluster";
  const before = await queryAt(other.url, all);
  url = own.url;
  using node = await startSession(() => url, 10_000);
  const { session, changes } = node;
  const { life } = session;
  const [cluster] = await queryAt<{ id: string }>(own.url, "SELECT id FROM cluster");

  url = other.url;
  await queryAt(
    own.url,
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'one' AND datname = current_database()",
  );
  await eventually("word of it", () => changes.some((change) => change.includes("its cluster is")));
  expect(session.connection).toBeUndefined();
  expect(changes.at(-1)).toMatch(/^false: its cluster is (\S+) and not (\S+)$/);
  expect(changes.at(-1)).toContain(`and not ${cluster?.id}`);
  expect(await queryAt(other.url, all)).toEqual(before);

  url = own.url;
  await eventually("its own again", () => session.connection !== undefined);
  expect(session.life).toBe(life);
  expect(changes.filter((change) => !change.startsWith("false: "))).toEqual(["true: the server can be reached again"]);
});

// The shortest, the default and the longest.
test.each([1_000, 5_000, 60_000])("the server ends a session of a lease of %s ms after a lease, and not much later", async (leaseMs) => {
  await using database = await freshDatabase();
  using node = await startSession(() => database.url, leaseMs);
  const connection = node.session.connection as Connection;
  const settings = await connection.rows<[name: string, value: string]>({
    name: "settings_of_session",
    text: "SELECT name, current_setting(name) FROM pg_settings WHERE name ~ '_timeout$|^tcp_'",
  });
  const { tcp_keepalives_idle, tcp_keepalives_interval, tcp_keepalives_count, ...rest } = Object.fromEntries(settings);
  // What the system answers, in seconds.
  const [idleS, intervalS, count] = [tcp_keepalives_idle, tcp_keepalives_interval, tcp_keepalives_count].map(Number) as [
    number,
    number,
    number,
  ];
  const silentMs = 1_000 * (idleS + intervalS * count);
  expect(silentMs).toBeGreaterThanOrEqual(leaseMs);
  expect(silentMs).toBeLessThanOrEqual(1.25 * leaseMs + 2_000);
  expect(idleS).toBeGreaterThan(0);
  for (const name of ["tcp_user_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout", "statement_timeout"])
    expect({ name, ms: msOf(rest[name]) }).toEqual({ name, ms: leaseMs });
  expect(msOf(rest.lock_timeout)).toBeLessThan(leaseMs);
  expect(msOf(rest.lock_timeout)).toBeGreaterThan(0);
});

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000 };

/** As the server writes it: `500ms`, `5s`, `1min`. */
function msOf(text = ""): number {
  const [, number, unit] = /^(\d+)(ms|s|min)?$/.exec(text) ?? [];
  return Number(number) * (UNITS_MS[unit ?? "ms"] ?? Number.NaN);
}
