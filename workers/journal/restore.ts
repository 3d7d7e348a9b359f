import type { DatabaseSync } from "node:sqlite";
import { closeByRestore } from "../../src/journal/rules/close-by-restore.ts";
import { hold } from "./tables/held.ts";
import { addRestore } from "./tables/restores.ts";
import { tablesOf } from "./tables/tables.ts";

const EVERY_ATTEMPT = 2 ** 31;

/**
 * Makes a journal of a backup, inside the transaction of its opening: nothing of it goes on by itself. What ran when the backup was made may have
 * ended in any way since, so it is closed as failed and all its steps are held, as is whatever was being compensated.
 */
export function restore(db: DatabaseSync, nowMs: number): void {
  addRestore(db, nowMs);
  const tables = tablesOf(db, false);
  hold(db);
  closeByRestore(tables, EVERY_ATTEMPT, nowMs);
}
