import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseAddress, targetsOf } from "../../src/journal/postgres/address.ts";
import { Connection } from "../../src/journal/postgres/connection.ts";
import { temporaryFile } from "../journal/temporary-file.ts";
import { cert } from "../outgoing/certificate.ts";
import { startPostgres } from "../support/postgres/index.ts";

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
  // An address in a form that the certificate does not name.
  expect(await connect("127.1", `?sslmode=verify-ca&sslrootcert=${root}`)).toBe(true);
  await expect(connect("127.1", `?sslmode=verify-full&sslrootcert=${root}`)).rejects.toThrow(/altnames/);
});
