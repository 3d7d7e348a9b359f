import { Client } from "pg";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { readConfig } from "../../src/config.ts";
import { parseAddress } from "../../src/journal/postgres/address.ts";
import { MIGRATIONS, SCHEMA } from "../../src/journal/postgres/schema.ts";
import { startPostgres } from "../support/postgres/index.ts";
import { CODE_BLOCKS } from "./pages.ts";

const blocks = (wanted: string) => CODE_BLOCKS.filter(({ page, language }) => page === "docs/many-machines.md" && language === wanted);

test("the address of the page is taken", () => {
  const [block] = blocks("yaml");
  const { JOURNAL } = readConfig(parse(block?.text ?? ""));
  expect(parseAddress(JOURNAL)).toMatchObject({ hosts: [{ host: "db-1.example" }, { host: "db-2.example" }], sslmode: "verify-full" });
});

test("the role that the page makes can make the schema, and is no superuser; others cannot connect", async () => {
  await using server = await startPostgres();
  const [block] = blocks("sql");
  for (const statement of block?.text.trim().split("\n") ?? []) await server.query(statement);
  await server.query("CREATE ROLE stranger LOGIN");

  const as = (user: string) => new Client({ host: "127.0.0.1", port: server.port, user, database: "shop" });
  const client = as("shop");
  client.on("error", () => {});
  await client.connect();
  await client.query(`CREATE SCHEMA ${SCHEMA}; SET search_path = ${SCHEMA}`);
  for (const { sql } of MIGRATIONS) await client.query(sql);
  expect((await client.query("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")).rows).toEqual([{ rolsuper: false }]);
  await client.end();
  await expect(as("stranger").connect()).rejects.toThrow("permission denied");
});
