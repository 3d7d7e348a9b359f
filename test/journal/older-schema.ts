import { DatabaseSync } from "node:sqlite";
import { MIGRATIONS } from "../../workers/journal/migrations.ts";

/**
 * A schema before the newest, made up: a column had another name, and what is pending was called waiting. `UPGRADE` is the step from it to the
 * newest, so it needs both the schema and the rows.
 */
export const UPGRADE = `
  ALTER TABLE compensations RENAME COLUMN last_reply TO last_answer;
  UPDATE compensations SET state = 'pending' WHERE state = 'waiting';`;

/** Makes a journal with the newest schema or the made up one, number 1 either way, and writes rows into it (SQL for the newest). */
export function writeJournal(file: string, schema: "older" | "newest", rows: string, applicationId = 0x4f52444a): void {
  const inThoseWords = (sql: string) => (schema === "older" ? sql.replaceAll("last_answer", "last_reply") : sql);
  const db = new DatabaseSync(file);
  db.exec("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON");
  for (const migration of MIGRATIONS) db.exec(inThoseWords(migration));
  db.exec(inThoseWords(rows));
  if (schema === "older") db.exec("UPDATE compensations SET state = 'waiting' WHERE state = 'pending'");
  db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${MIGRATIONS.length}`);
  db.close();
}

/** Until disposed of, the schema has a further migration on this thread. A journal's own threads do not know of it. */
export function furtherMigration(migration: string): Disposable {
  const migrations = MIGRATIONS as string[];
  migrations.push(migration);
  return { [Symbol.dispose]: () => migrations.pop() };
}

/** Gives a journal with the newest schema, upgraded on this thread, the number by which the journal's own threads know that schema. */
export function renumber(file: string): void {
  const db = new DatabaseSync(file);
  db.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
  db.close();
}
