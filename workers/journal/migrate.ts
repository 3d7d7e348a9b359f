import type { DatabaseSync } from "node:sqlite";
import { APPLICATION_ID } from "./identify.ts";
import { MIGRATIONS } from "./migrations.ts";

/**
 * Migrates the schema from `version` to the newest, all steps in one transaction. Writes even without a step: that shows whether the
 * file can be written.
 */
export function migrate(db: DatabaseSync, version: number): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    for (const step of MIGRATIONS.slice(version)) db.exec(step);
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}; COMMIT`);
  } catch (error) {
    // A full disk has ended the transaction already.
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}
