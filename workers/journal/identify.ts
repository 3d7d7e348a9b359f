import type { DatabaseSync } from "node:sqlite";
import { MIGRATIONS } from "./migrations.ts";
import { OpenFailed } from "./sqlite-trouble.ts";

/** Marks a database file as a journal of this service (`PRAGMA application_id`): "ORDJ". */
export const APPLICATION_ID = 0x4f52444a;

/**
 * The number of the schema that the database has; 0 for a new one. Only reads. Throws `OpenFailed` for a database of
 * something else and for one from a newer version of this service.
 */
export function identify(db: DatabaseSync): number {
  const version = numberOf(db, "PRAGMA user_version");
  const isOurs = numberOf(db, "PRAGMA application_id") === APPLICATION_ID;
  const isNew = numberOf(db, "SELECT count(*) FROM sqlite_schema") === 0;
  if (!isOurs && !isNew) throw new OpenFailed("it is not a journal: a SQLite database of something else");
  if (version > MIGRATIONS.length) {
    throw new OpenFailed(`it has schema ${version}, written by a newer version; this one knows up to ${MIGRATIONS.length}`);
  }
  return version;
}

function numberOf(db: DatabaseSync, query: string): number {
  return Number(Object.values(db.prepare(query).get() ?? {})[0]);
}
