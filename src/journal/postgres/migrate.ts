import { randomUUID } from "node:crypto";
import type { Connection } from "./connection.ts";
import { LOCK_CLASS, MIGRATIONS, type Migration, SCHEMA } from "./schema.ts";
import { BEGIN, COMMIT } from "./sql.ts";

/** What a database is, or why it is not to be used. */
export type Identity = { readonly clusterId: string } | { readonly failure: string };

/**
 * Brings the schema to the newest version, under a lock. A newer one stays as it is; this service works on it where that is said to work.
 */
export async function migrate(connection: Connection, migrations: readonly Migration[] = MIGRATIONS): Promise<Identity> {
  const run = (name: string, text: string, values?: readonly unknown[]) =>
    connection.rows<readonly (string | number)[]>({ name, text }, values);
  await connection.rows(BEGIN);
  try {
    await run("migration_lock", "SELECT pg_advisory_xact_lock($1, 0)", [LOCK_CLASS]);
    const found = await findOrCreateSchema(connection);
    if ("failure" in found) return found;
    const { clusterId, version, worksWith } = found;
    const newest = migrations.length;
    if (worksWith > newest) {
      return { failure: `it has schema ${version}, written by a newer version, and this one knows up to ${newest}` };
    }
    if (version >= newest) return { clusterId };
    const oldest = migrations.at(-1)?.worksWith ?? 0;
    const tooOld = await tooOldNodes(connection, version, oldest);
    if (tooOld !== undefined)
      return { failure: `schema ${newest} would stop the nodes ${tooOld}, which run and know up to less than ${oldest}` };
    // Every batch begins with its node's row. One that waits for it has locked nothing else, so it and a migration never wait for each other.
    if (version > 0) await connection.script("LOCK TABLE nodes IN ACCESS EXCLUSIVE MODE");
    for (const { sql } of migrations.slice(version)) await connection.script(sql);
    await run(
      "cluster_write",
      `INSERT INTO cluster (id, version, works_with, continued_on) VALUES ($1, $2, $3, '')
       ON CONFLICT ("only") DO UPDATE SET version = excluded.version, works_with = excluded.works_with`,
      [clusterId, newest, oldest],
    );
    return { clusterId };
  } finally {
    // After an error this rolls back, and says no more than that.
    if (!connection.isLost) await connection.rows(COMMIT);
  }
}

async function findOrCreateSchema(
  connection: Connection,
): Promise<{ clusterId: string; version: number; worksWith: number } | { failure: string }> {
  const [names] = await connection.rows<[boolean, boolean]>(
    { name: "schema_found", text: "SELECT to_regnamespace($1) IS NOT NULL, to_regclass($1 || '.cluster') IS NOT NULL" },
    [SCHEMA],
  );
  const [hasSchema, isCluster] = names ?? [false, false];
  if (!isCluster && hasSchema) return { failure: `its schema ${SCHEMA} is of something else` };
  if (!isCluster) {
    await connection.script(`CREATE SCHEMA ${SCHEMA}`);
    return { clusterId: randomUUID(), version: 0, worksWith: 0 };
  }
  const [row] = await connection.rows<[string, number, number]>({
    name: "cluster_read",
    text: "SELECT id, version, works_with FROM cluster",
  });
  if (row === undefined) return { failure: `its schema ${SCHEMA} has no cluster` };
  return { clusterId: row[0], version: row[1], worksWith: row[2] };
}

async function tooOldNodes(connection: Connection, version: number, oldest: number): Promise<string | undefined> {
  if (version === 0) return undefined;
  const [row] = await connection.rows<[string | null]>(
    {
      name: "too_old",
      text: "SELECT string_agg(name, ', ') FROM nodes WHERE ended_ms IS NULL AND schema_version < $1",
    },
    [oldest],
  );
  return row?.[0] ?? undefined;
}
