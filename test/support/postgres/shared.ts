import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { Client } from "pg";
import { inject } from "vitest";
import type { PostgresVersion } from "./binaries.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Where the run's own process tells of the servers that all tests share. */
    readonly sharedPostgresPort: number;
  }
}

/** What the run's own process answers. */
export type SharedServer = { readonly url: string } | { readonly error: string };

/** An empty database, which is dropped after use with whatever sessions it has. */
export interface FreshDatabase extends AsyncDisposable {
  /** Of a superuser, without a password. */
  readonly url: string;
  readonly name: string;
}

/** Makes an empty database on the server that the run's tests share, which the first call of a run starts. In Vitest's processes only. */
export async function freshDatabase(version: PostgresVersion = "npm"): Promise<FreshDatabase> {
  const serverUrl = await sharedServer(version);
  const name = `test_${randomBytes(8).toString("hex")}`;
  // Cheaper than to log every page of it, where nothing waits for the disk.
  await run(serverUrl, `CREATE DATABASE ${name} STRATEGY file_copy`);
  const url = new URL(serverUrl);
  url.pathname = name;
  return { url: url.href, name, [Symbol.asyncDispose]: () => run(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`) };
}

async function sharedServer(version: PostgresVersion): Promise<string> {
  const connection = connect(inject("sharedPostgresPort"), "127.0.0.1");
  connection.write(version);
  const answer: SharedServer = JSON.parse(await text(connection));
  if ("error" in answer) throw new Error(answer.error);
  return answer.url;
}

async function run(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
