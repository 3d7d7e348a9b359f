import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseAddress, targetsOf } from "../../src/journal/postgres/address.ts";
import { Connection, ConnectionLost, SqlError } from "../../src/journal/postgres/connection.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import { JournalFixture } from "../journal/journal-fixture.ts";
import { temporaryFile } from "../journal/temporary-file.ts";
import { cert } from "../resilience/certificate.ts";
import { eventually } from "../support/eventually.ts";
import { openSockets } from "../support/open-sockets.ts";
import { freshDatabase, startPostgres } from "../support/postgres/index.ts";
import { connect } from "./queries/queries-fixture.ts";

function open(url: string): Promise<Connection> {
  const [target] = targetsOf(parseAddress(url) as never);
  return Connection.open(target as never, { name: "test", timeoutMs: 60_000 });
}

test("a statement during which the server ends the session is in doubt; one that the server refuses has had no effect, and the session stays", async () => {
  await using database = await freshDatabase();
  const connection = await open(database.url);
  const refused = connection.rows({ name: "refused", text: "SELECT 1 / 0" });
  await expect(refused).rejects.toThrow(SqlError);
  await expect(refused).rejects.toMatchObject({ code: "22012" });
  const [row] = await connection.rows<[number]>({ name: "pid", text: "SELECT pg_backend_pid()" });
  const sleeping = expect(connection.rows({ name: "sleep", text: "SELECT pg_sleep(60)" })).rejects.toThrow(ConnectionLost);
  const reasons: string[] = [];
  connection.onLost = (reason) => reasons.push(reason);
  const other = await connect(database.url);
  // The statement was sent before, so it runs by then or is ended before it begins.
  await other.query("SELECT pg_terminate_backend($1)", [row?.[0]]);
  await other.end();
  await sleeping;
  expect([connection.isLost, reasons]).toEqual([true, [expect.stringContaining("terminating connection")]]);
});

test("a list that takes too long is ended, and the reads that wait behind it are answered", async () => {
  await using fixture = await JournalFixture.open("postgres");
  await fixture.run("a");
  const other = await connect(fixture.file);
  try {
    await other.query("BEGIN; LOCK TABLE dead_letters");
    const list = expect(fixture.journal.deadLetters(undefined, 10)).rejects.toThrow("statement timeout");
    expect(await fixture.journal.find("a")).toMatchObject({ orderId: "a" });
    await list;
  } finally {
    await other.end();
  }
});

test("a server that does not let a node in says so for operators: that is no lost connection", async () => {
  await using database = await freshDatabase();
  await expect(open(`${database.url}_missing`)).rejects.toThrow(SqlError);
});

test("a connection that fails for its password leaves no session that waits for one", async () => {
  await using server = await startPostgres({ auth: "password" });
  const before = openSockets();
  const [target] = targetsOf(parseAddress(server.url) as never, () => Promise.reject(new Error("the file is gone")));
  await expect(Connection.open(target as never, { name: "test", timeoutMs: 60_000 })).rejects.toThrow("the file is gone");
  await eventually("its socket is closed", () => openSockets() <= before, undefined, 10_000);
});

test("a role that becomes another one at its login sees its own sessions all the same: by their age nodes know who is dead", async () => {
  await using server = await startPostgres();
  for (const statement of ["CREATE ROLE owner", "CREATE ROLE shop LOGIN IN ROLE owner", "ALTER ROLE shop SET role = 'owner'"])
    await server.query(statement);
  const connection = await open(server.url.replace("//orders@", "//shop@"));
  const text = "SELECT backend_start <= now() FROM pg_stat_activity WHERE usename = current_user";
  expect(await connection.rows({ name: "own", text })).toEqual([[true]]);
  connection.close();
});

test("each sslmode looks at the server's certificate as far as it says, and at none without encryption", async () => {
  await using server = await startPostgres({ tls: true });
  const root = temporaryFile();
  writeFileSync(root, cert);
  const connect = async (host: string, parameters: string) => {
    const [target] = targetsOf(parseAddress(`postgres://orders@${host}:${server.port}/orders${parameters}`) as never);
    const connection = await Connection.open(target as never, { name: "test", timeoutMs: 10_000 });
    const [row] = await connection.rows<[boolean]>({ name: "ssl", text: "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()" });
    connection.close();
    return row?.[0];
  };
  await expect(connect("127.0.0.1", "")).rejects.toThrow("no encryption");
  expect(await connect("127.0.0.1", "?sslmode=require")).toBe(true);
  for (const mode of ["verify-ca", "verify-full"]) {
    await expect(connect("localhost", `?sslmode=${mode}`)).rejects.toThrow(/certificate/);
    expect(await connect("localhost", `?sslmode=${mode}&sslrootcert=${root}`)).toBe(true);
  }
  const missing = connect("localhost", "?sslmode=verify-full&sslrootcert=/nowhere/ca.pem");
  // What is told in one line at a start.
  await expect(missing).rejects.toThrow(new JournalUnavailable("its sslrootcert cannot be read (ENOENT)"));
  // An address in a form that the certificate does not name.
  expect(await connect("127.1", `?sslmode=verify-ca&sslrootcert=${root}`)).toBe(true);
  await expect(connect("127.1", `?sslmode=verify-full&sslrootcert=${root}`)).rejects.toThrow(/altnames/);
});
