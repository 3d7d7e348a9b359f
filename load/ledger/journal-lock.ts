import { DatabaseSync } from "node:sqlite";
import { setTimeout as pause } from "node:timers/promises";

const TRIES = 400;
const TRY_EVERY_MS = 2;

/** Another program writes to the journal for `ms`, as a person at a prompt may. Resolves with whether it could begin, when it has ended. */
export async function lockJournal(file: string, ms: number): Promise<boolean> {
  // Without a wait of its own: that would stop this process, which is client and provider too.
  const db = new DatabaseSync(file, { timeout: 0 });
  try {
    if (!(await begin(db))) return false;
    await pause(ms);
    db.exec("ROLLBACK");
    return true;
  } finally {
    db.close();
  }
}

async function begin(db: DatabaseSync): Promise<boolean> {
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      db.exec("BEGIN IMMEDIATE");
      return true;
    } catch {
      await pause(TRY_EVERY_MS);
    }
  }
  return false;
}
