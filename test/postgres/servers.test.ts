import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Client, type ClientConfig } from "pg";
import { describe, expect, test } from "vitest";
import { cert } from "../resilience/certificate.ts";
import { eventually } from "../support/eventually.ts";
import { freshDatabase, type PostgresVersion, startPostgres, startStandby, WITHOUT_DEBIAN_POSTGRES } from "../support/postgres/index.ts";

const SERVER_MODULE = join(import.meta.dirname, "../support/postgres/server.ts");
// What a statement takes that nothing holds up, many times over.
const NOT_ANSWERED_MS = 200;
const IDENTITY = "SELECT system_identifier::text AS id FROM pg_control_system()";

if (WITHOUT_DEBIAN_POSTGRES !== undefined) console.warn(`the tests of standbys are skipped: ${WITHOUT_DEBIAN_POSTGRES}`);

const versions: readonly PostgresVersion[] = WITHOUT_DEBIAN_POSTGRES === undefined ? ["npm", "debian"] : ["npm"];

test.each(versions)("a server of %s keeps what was committed, however it ends", async (version) => {
  await using server = await startPostgres({ version });
  const { url } = server;
  await server.query("CREATE TABLE kept (end_no int)");
  const ends = [() => server.kill(), () => server.stop("immediate"), () => server.stop()];
  for (const [no, end] of ends.entries()) {
    await server.query("INSERT INTO kept VALUES ($1)", [no]);
    await end();
    await expect(server.query("SELECT 1")).rejects.toThrow("ECONNREFUSED");
    await server.start();
  }
  expect(server.url).toBe(url);
  expect(await server.query("SELECT end_no FROM kept ORDER BY 1")).toEqual([{ end_no: 0 }, { end_no: 1 }, { end_no: 2 }]);
});

test("a server that ended says why it does not start, and one that is gone has left nothing", async () => {
  const server = await startPostgres({ settings: { max_connections: "7" } });
  expect(await server.query("SHOW max_connections")).toEqual([{ max_connections: "7" }]);
  await server.kill();
  await server[Symbol.asyncDispose]();
  expect(existsSync(server.dataDirectory)).toBe(false);
  await expect(startPostgres({ settings: { max_connections: "none" } })).rejects.toThrow(/invalid value for parameter "max_connections"/);
});

test("a server that asks for TLS and a password gets both", async () => {
  await using server = await startPostgres({ auth: "password", tls: true });
  const connected = async (password: string, ssl: ClientConfig["ssl"]) => {
    const url = new URL(server.url);
    url.password = password;
    const client = new Client({ connectionString: url.href, ssl });
    await client.connect();
    await client.end();
  };
  await connected(server.password, { ca: cert });
  await expect(connected("wrong", { ca: cert })).rejects.toThrow("password authentication failed");
  await expect(connected(server.password, false)).rejects.toThrow("no encryption");
});

test("a server on a copy of a data directory has its rows and its identity, others have another", async () => {
  await using own = await startPostgres({ ownIdentity: true });
  await own.query("CREATE TABLE backed_up (n int)");
  await own.stop();
  await using copy = await startPostgres({ from: own.dataDirectory });
  await own.start();
  expect(await copy.query("SELECT count(*)::int AS rows FROM backed_up")).toEqual([{ rows: 0 }]);
  expect(await copy.query(IDENTITY)).toEqual(await own.query(IDENTITY));
  await using database = await freshDatabase();
  expect(await answerOf(database.url, IDENTITY)).not.toEqual(await own.query(IDENTITY));
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
