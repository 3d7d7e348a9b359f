import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { readConfig } from "../../src/config.ts";
import { parseAddress } from "../../src/journal/postgres/address.ts";
import { ChildServer } from "../support/child-server.ts";
import { orderOf, postOrder, send } from "../support/http-client.ts";
import { type PostgresServer, startPostgres } from "../support/postgres/index.ts";
import { CODE_BLOCKS } from "./pages.ts";

const blocks = (wanted: string) => CODE_BLOCKS.filter(({ page, language }) => page === "docs/many-machines.md" && language === wanted);

test("the address of the page is taken", () => {
  const [block] = blocks("yaml");
  const { JOURNAL } = readConfig(parse(block?.text ?? ""));
  expect(parseAddress(JOURNAL)).toMatchObject({ hosts: [{ host: "db-1.example" }, { host: "db-2.example" }], sslmode: "verify-full" });
});

describe("a server with the role and the database that the page makes", () => {
  const password = randomBytes(16).toString("hex");
  const directory = mkdtempSync(join(tmpdir(), "many-machines-"));
  const passwordFile = join(directory, "password");
  let server: PostgresServer;
  beforeAll(async () => {
    writeFileSync(passwordFile, `${password}\n`);
    server = await startPostgres({ auth: "password" });
    const [roles] = blocks("sql");
    for (const statement of roles?.text.trim().split("\n") ?? []) await server.query(statement);
    await server.query(`ALTER ROLE shop PASSWORD '${password}'`);
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });
  const startNode = () =>
    new ChildServer({
      JOURNAL: `postgres://shop@127.0.0.1:${server.port}/shop`,
      JOURNAL_PASSWORD_FILE: passwordFile,
      NODE_NAME: "shop-1",
      NODE_LEASE_MS: "1000",
    });
  const stop = async (node: ChildServer) => {
    node.signal("SIGTERM");
    expect(await node.exited).toEqual({ code: 0, signal: null });
  };

  test("serves nodes without being a superuser, and nobody else", async () => {
    await using node = startNode();
    const { port, adminPort } = await node.ports();
    const order = orderOf("first", 0);
    expect((await postOrder(port, order)).status).toBe(200);
    expect((await postOrder(port, order)).headers["idempotent-replayed"]).toBe("true");
    expect((await send(adminPort, { path: "/restore" })).json.restored_at).toBeNull();
    await stop(node);
    const lines = node.stdout.trim().split("\n");
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.filter((line) => JSON.parse(line).node !== "shop-1")).toEqual([]);
    expect(node.stdout + node.stderr).not.toContain(password);

    expect(await server.query("SELECT rolsuper FROM pg_roles WHERE rolname = 'shop'")).toEqual([{ rolsuper: false }]);
    await server.query(`CREATE ROLE stranger LOGIN PASSWORD '${password}'`);
    const stranger = new Client({ host: "127.0.0.1", port: server.port, user: "stranger", password, database: "shop" });
    await expect(stranger.connect()).rejects.toThrow("permission denied");
  });

  test("counts as restored once it is marked as a copy", async () => {
    const [, mark] = blocks("sql");
    await server.query(mark?.text ?? "", [], "shop");
    await using node = startNode();
    const { adminPort } = await node.ports();
    expect((await send(adminPort, { path: "/restore" })).json.restored_at).not.toBeNull();
    await stop(node);
  });

  test("a wrong password stops the start with one line, without it", async () => {
    const wrong = "hunter2-of-the-test";
    writeFileSync(passwordFile, wrong);
    await using node = startNode();
    expect((await node.exited).code).toBe(1);
    expect(node.stderr).toMatch(/^order-pipeline: JOURNAL=[^\n]*password authentication failed[^\n]*\n$/);
    expect(node.stdout + node.stderr).not.toContain(wrong);
  });
});
