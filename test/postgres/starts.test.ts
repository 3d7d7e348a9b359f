import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { freshDatabase, startPostgres } from "../support/postgres/index.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { NodeProcess } from "./node-process.ts";
import { Site } from "./site.ts";

/** What a service says that does not start. */
async function refusal(journal: string, settings: Readonly<Record<string, string>> = {}): Promise<string> {
  await using server = new ChildServer({ JOURNAL: journal, NODE_LEASE_MS: "1500", ...settings });
  expect(await server.exited).toEqual({ code: 1, signal: null });
  expect(server.stdout).not.toContain("is up");
  return server.stderr;
}

const oneLine = (journal: string, reason: string) => `order-pipeline: JOURNAL=${JSON.stringify(journal)}: ${reason}\n`;

test("two that start at the same time on an empty database make one schema; one that does not fit does not start and says why", async () => {
  await using site = await Site.open();
  const [one, two] = await Promise.all([site.start("one"), site.start("two")]);
  expect((await one.nodes()).map(({ name }) => name)).toEqual(["one", "two"]);
  expect(await two.order()).toMatchObject({ status: 200 });
  expect(await site.count("cluster", "true")).toBe(1);
  await site.query("UPDATE cluster SET version = version + 1");
  const three = await site.start("three");
  expect(await three.order()).toMatchObject({ status: 200 });
  await site.query("UPDATE cluster SET works_with = version");
  expect(await refusal(site.url)).toBe(oneLine(site.url, "it has schema 2, written by a newer version, and this one knows up to 1"));
  expect(await one.order()).toMatchObject({ status: 200 });
});

test("a schema of something else is left alone", async () => {
  await using database = await freshDatabase();
  await using site = await Site.open(database.url);
  await site.query("CREATE SCHEMA order_pipeline CREATE TABLE order_pipeline.nodes (what text)");
  expect(await refusal(database.url)).toBe(oneLine(database.url, "its schema order_pipeline is of something else"));
  expect(await site.query("SELECT tablename FROM pg_tables WHERE schemaname = 'order_pipeline'")).toEqual([{ tablename: "nodes" }]);
});

test("a password file that cannot be read is told without its name, which may be the password; also where the server asks for none", async () => {
  await using database = await freshDatabase();
  const settings = { JOURNAL_PASSWORD_FILE: "hunter2" };
  expect(await refusal(database.url, settings)).toBe("order-pipeline: JOURNAL_PASSWORD_FILE: its file cannot be read (ENOENT)\n");
});

test("a wrong password, no database, no server and one that is no PostgreSQL are told in a line each; an owner of the database needs no more rights", async () => {
  await using server = await startPostgres({ auth: "password" });
  const directory = mkdtempSync(join(tmpdir(), "passwords-"));
  const file = (name: string, password: string) => {
    writeFileSync(join(directory, name), `${password}\n`);
    return { JOURNAL_PASSWORD_FILE: join(directory, name) };
  };
  const mute = createServer().listen(0, "127.0.0.1");
  try {
    await server.query("CREATE ROLE shop LOGIN PASSWORD 'secret'");
    await server.query("CREATE DATABASE shop OWNER shop");
    const url = `postgres://shop@127.0.0.1:${server.port}/shop`;
    expect(await refusal(url, file("wrong", "guess"))).toBe(oneLine(url, 'password authentication failed for user "shop"'));
    expect(await refusal(`${url}s`, file("right", "secret"))).toBe(oneLine(`${url}s`, 'database "shops" does not exist'));
    const { port } = mute.address() as { port: number };
    expect(await refusal(`postgres://shop@127.0.0.1:${port}/shop`)).toMatch(/^order-pipeline: JOURNAL=\S+: .*timeout.*\n$/);
    await using node = await NodeProcess.start("one", url, undefined, file("right", "secret"));
    expect(await node.order()).toMatchObject({ status: 200 });
    await server.stop();
    expect(await refusal(url, file("right", "secret"))).toBe(oneLine(url, `connect ECONNREFUSED 127.0.0.1:${server.port}`));
    expect(await node.stop()).toEqual({ code: 0, signal: null });
  } finally {
    mute.close();
    rmSync(directory, { recursive: true });
  }
});

test("a node that is cut off from the database, with writes in doubt, ends when it is told to", async () => {
  await using database = await freshDatabase();
  await using proxy = await TcpProxy.start(Number(new URL(database.url).port));
  await using node = await NodeProcess.start("one", proxy.through(database.url));
  proxy.cut();
  // It looks for what is due every second, and notices the cut after a lease.
  await eventually("it has noticed", async () => (await node.readiness()) === 503);
  expect(await node.stop()).toEqual({ code: 0, signal: null });
});
