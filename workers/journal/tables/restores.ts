import type { DatabaseSync } from "node:sqlite";
import { firstIdAfterRestore } from "../../../src/journal/rules/restores.ts";
import type { RestoresTable } from "../../../src/journal/rules/tables.ts";
import { rows } from "./rows.ts";

const NUMBERED = ["compensations", "outbox", "operator_actions"];

/**
 * The times that this journal was made of a backup, and where ids of rows and numbers of attempts went on each time. Providers and operators may
 * remember those of the journal that was replaced, so none is given again.
 */
export class Restores implements RestoresTable {
  readonly #db: DatabaseSync;
  firstIds: readonly number[] = [];
  /** Wall clock, of the last time; absent for a journal that was never restored. */
  restoredMs: number | undefined;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#read();
  }

  /** No id of a row is given below this. */
  get firstId(): number {
    return this.firstIds[0] ?? 0;
  }

  /** Notes a restore: ids and numbers go on from its own first id. */
  add(nowMs: number): void {
    const highest = Math.max(this.firstId, this.#highestAttemptId(), ...NUMBERED.map((table) => this.#sequenceOf(table)));
    const firstId = firstIdAfterRestore(highest, nowMs);
    this.#db.prepare("INSERT INTO restores (restored_ms, first_id) VALUES (?, ?)").run(nowMs, firstId);
    for (const table of NUMBERED) {
      this.#db.prepare("DELETE FROM sqlite_sequence WHERE name = ?").run(table);
      this.#db.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)").run(table, firstId - 1);
    }
    this.#read();
  }

  #read(): void {
    const restores = rows(this.#db, "SELECT first_id, restored_ms FROM restores ORDER BY id DESC").all() as unknown as [number, number][];
    this.firstIds = restores.map(([firstId]) => firstId);
    this.restoredMs = restores[0]?.[1];
  }

  #sequenceOf(table: string): number {
    const found = rows(this.#db, "SELECT seq FROM sqlite_sequence WHERE name = ?").get(table) as unknown as [number] | undefined;
    return found?.[0] ?? 0;
  }

  #highestAttemptId(): number {
    return (rows(this.#db, "SELECT max(id) FROM attempts").get() as unknown as [number | null])[0] ?? 0;
  }
}
