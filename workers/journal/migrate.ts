import type { DatabaseSync } from "node:sqlite";
import { closeByRestore } from "../../src/journal/rules/restores.ts";
import { MIGRATIONS } from "./migrations.ts";
import { OpenFailed } from "./sqlite-trouble.ts";
import { addRestore, hold } from "./tables/restores.ts";
import { tablesOf } from "./tables/tables.ts";

/**
 * Brings the schema to the newest and makes a journal of a backup, in one transaction. Writes also where there is nothing to do: whether the
 * file can be written.
 */
export function migrate(db: DatabaseSync, version: number, isBackup: boolean): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    for (const migration of MIGRATIONS.slice(version)) db.exec(migration);
    if (isBackup) restore(db, Date.now());
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}; COMMIT`);
  } catch (error) {
    // A full disk has ended the transaction already.
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

/** Marks a database file as a journal of this service (`PRAGMA application_id`): "ORDJ". */
export const APPLICATION_ID = 0x4f52444a;

/** Marks a backup that is being made a journal: "ORDR". See `claimBackup`. */
export const CLAIMED_ID = 0x4f524452;

/** What a database is. */
export interface Identity {
  /** The number of its schema; 0 for a new one. */
  readonly version: number;
  /** It has to be made a journal. */
  readonly isBackup: boolean;
}

/** Only reads. Throws `OpenFailed` for a database of something else and for one from a newer version of this service. */
export function identify(db: DatabaseSync): Identity {
  const version = numberOf(db, "PRAGMA user_version");
  const id = numberOf(db, "PRAGMA application_id");
  const isNew = numberOf(db, "SELECT count(*) FROM sqlite_schema") === 0;
  if (id !== APPLICATION_ID && id !== CLAIMED_ID && !isNew)
    throw new OpenFailed("it is not a journal: a SQLite database of something else");
  if (version > MIGRATIONS.length) {
    throw new OpenFailed(`it has schema ${version}, written by a newer version; this one knows up to ${MIGRATIONS.length}`);
  }
  return { version, isBackup: id === CLAIMED_ID };
}

function numberOf(db: DatabaseSync, query: string): number {
  return Number(Object.values(db.prepare(query).get() ?? {})[0]);
}

const EVERY_ATTEMPT = 2 ** 31;

/** In the transaction of the opening: what ran when the backup was made may have ended in any way, so all that is open is held. */
export function restore(db: DatabaseSync, nowMs: number): void {
  addRestore(db, nowMs);
  const tables = tablesOf(db, false);
  hold(db);
  closeByRestore(tables, EVERY_ATTEMPT, nowMs);
}
