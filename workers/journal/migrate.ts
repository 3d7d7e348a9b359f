import type { DatabaseSync } from "node:sqlite";
import { APPLICATION_ID } from "./identify.ts";
import { MIGRATIONS } from "./migrations.ts";
import { restore } from "./restore.ts";

/**
 * Brings the schema from `version` to the newest, and makes a journal of a backup, all in one transaction: a database is not taken for a journal
 * before what a backup holds open is held. Writes even without a step: that shows whether the file can be written.
 */
export function migrate(db: DatabaseSync, version: number, isBackup: boolean): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    for (const step of MIGRATIONS.slice(version)) db.exec(step);
    if (isBackup) restore(db, Date.now());
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}; COMMIT`);
  } catch (error) {
    // A full disk has ended the transaction already.
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}
