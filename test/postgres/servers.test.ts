import { Client } from "pg";
import { expect, test } from "vitest";
import { freshDatabase, startPostgres } from "../support/postgres/index.ts";

test.each(["npm", "debian"] as const)("a server of %s that is killed keeps what was committed", async (version) => {
  await using server = await startPostgres({ version });
  await server.query("CREATE TABLE kept (n int)");
  await server.query("INSERT INTO kept VALUES (1)");
  await server.kill();
  await expect(server.query("SELECT 1")).rejects.toThrow("ECONNREFUSED");
  await server.start();
  expect(await server.query("SELECT n FROM kept")).toEqual([{ n: 1 }]);
});

test("a fresh database is empty, and gone after use", async () => {
  const tables = "SELECT count(*)::int AS tables FROM pg_tables WHERE schemaname = 'public'";
  let url = "";
  {
    await using database = await freshDatabase();
    ({ url } = database);
    const client = new Client({ connectionString: url });
    // It is dropped under this session.
    client.on("error", () => {});
    await client.connect();
    expect((await client.query(tables)).rows).toEqual([{ tables: 0 }]);
  }
  await expect(new Client({ connectionString: url }).connect()).rejects.toThrow("does not exist");
});
