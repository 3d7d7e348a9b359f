import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { freshDatabase, startPostgres, startStandby, WITHOUT_DEBIAN_POSTGRES } from "../support/postgres/index.ts";

const SERVER_MODULE = join(import.meta.dirname, "../support/postgres/server.ts");
// What a statement takes that nothing holds up, many times over.
const NOT_ANSWERED_MS = 200;

if (WITHOUT_DEBIAN_POSTGRES !== undefined) console.warn(`the tests of standbys are skipped: ${WITHOUT_DEBIAN_POSTGRES}`);

test("a server that ended says why it does not start, and one that is gone has left nothing", async () => {
  const server = await startPostgres({ settings: { max_connections: "7" } });
  expect(await server.query("SHOW max_connections")).toEqual([{ max_connections: "7" }]);
  await server.kill();
  await server[Symbol.asyncDispose]();
  expect(existsSync(server.dataDirectory)).toBe(false);
  await expect(startPostgres({ settings: { max_connections: "none" } })).rejects.toThrow(/invalid value for parameter "max_connections"/);
});

test("a server whose process is killed ends too, and its directory goes", async () => {
  const script = `const { startPostgres } = await import(${JSON.stringify(SERVER_MODULE)});
    const server = await startPostgres();
    console.log(JSON.stringify([server.url, server.dataDirectory]));`;
  const holder = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(holder.stdout, "data");
  const [url, dataDirectory] = JSON.parse(String(line)) as [string, string];
  expect(await answerOf(url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  holder.kill("SIGKILL");
  await eventually("the directory is gone", () => !existsSync(dataDirectory));
  await expect(answerOf(url, "SELECT 1")).rejects.toThrow("ECONNREFUSED");
});

test("a fresh database is empty, on the server that the run shares, and gone after use", async () => {
  const tables = "SELECT count(*)::int AS tables FROM pg_tables WHERE schemaname = 'public'";
  await using other = await freshDatabase();
  await answerOf(other.url, "CREATE TABLE elsewhere (n int)");
  let url = "";
  {
    await using database = await freshDatabase();
    ({ url } = database);
    expect(new URL(url).host).toBe(new URL(other.url).host);
    const client = new Client({ connectionString: url });
    // It is dropped under this session.
    client.on("error", () => {});
    await client.connect();
    expect((await client.query(tables)).rows).toEqual([{ tables: 0 }]);
  }
  await expect(answerOf(url, tables)).rejects.toThrow("does not exist");
});

describe.skipIf(WITHOUT_DEBIAN_POSTGRES !== undefined)("a standby", () => {
  test("that is synchronous has every row when it is promoted, and commits wait for it", async () => {
    await using primary = await startPostgres({ version: "debian" });
    await primary.query("CREATE TABLE copied (n int)");
    await using standby = await startStandby(primary);
    await primary.query("INSERT INTO copied VALUES (1)");
    expect(await standby.query("SELECT pg_is_in_recovery() AS follows")).toEqual([{ follows: true }]);
    await expect(standby.query("INSERT INTO copied VALUES (0)")).rejects.toThrow("read-only");

    await standby.kill();
    const waiting = primary.query("INSERT INTO copied VALUES (2)");
    expect(await isAnswered(waiting)).toBe(false);
    await standby.start();
    await waiting;

    await primary.kill();
    await standby.promote();
    await standby.query("INSERT INTO copied VALUES (3)");
    expect(await standby.query("SELECT n FROM copied ORDER BY n")).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });
});

async function answerOf(url: string, statement: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

/** Whether an answer has come after a while. */
async function isAnswered(answer: Promise<unknown>): Promise<boolean> {
  const waited = Promise.withResolvers<boolean>();
  setTimeout(waited.resolve, NOT_ANSWERED_MS, false);
  return await Promise.race([answer.then(() => true), waited.promise]);
}
