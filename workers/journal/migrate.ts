import type { DatabaseSync } from "node:sqlite";
import { MIGRATIONS } from "./migrations.ts";
import { OpenFailed } from "./open-failed.ts";

/** Marks a database file as a journal of this service (`PRAGMA application_id`): "ORDJ". */
const APPLICATION_ID = 0x4f52444a;

/**
 * Brings the schema to the newest number, all steps in one transaction, which also shows that the file can be written.
 * Throws `OpenFailed` for a database of something else and for one from a newer version of this service.
 */
export function migrate(db: DatabaseSync): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    const version = numberOf(db, "PRAGMA user_version");
    const application = numberOf(db, "PRAGMA application_id");
    const tables = numberOf(db, "SELECT count(*) FROM sqlite_schema");
    if (application !== APPLICATION_ID && tables > 0) throw new OpenFailed("it is not a journal: a SQLite database of something else");
    if (version > MIGRATIONS.length) {
      throw new OpenFailed(`it has schema ${version}, written by a newer version; this one knows up to ${MIGRATIONS.length}`);
    }
    for (const step of MIGRATIONS.slice(version)) db.exec(step);
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}; COMMIT`);
  } catch (error) {
    // A full disk has ended the transaction already.
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

function numberOf(db: DatabaseSync, query: string): number {
  return Number(Object.values(db.prepare(query).get() ?? {})[0]);
}
