import type { DatabaseSync } from "node:sqlite";
import type { RestoresTable } from "../../../src/journal/rules/tables.ts";
import { rows } from "./rows.ts";

// What the replaced journal has given since the backup is not known. It was not so many: at ten thousand orders a second that takes three
// years. Five thousand restores fit into the exact integers of JavaScript.
const IDS_AHEAD = 2 ** 40;
// One backup may be restored twice, and knows nothing of what was given after the first time. So ids follow the clock too, faster than any
// journal gives them: a million a second. They stay exact integers for 280 years.
const IDS_A_MS = 1_000;
const EPOCH_MS = Date.UTC(2026, 0, 1);
// A clock that is beyond this is wrong.
const MOST_BY_CLOCK = 2 ** 52;
// A block of `attempt_blocks` begins with the first id.
const ALIGNED_TO = 1_024;

const NUMBERED = ["compensations", "outbox", "operator_actions"];

// A journal that was restored is up to two weeks ahead of the clock. A backup of it that is restored twice starts from the same ids each time, so
// only chance tells the two apart: one in a billion that they start alike.
const STARTS = IDS_AHEAD / ALIGNED_TO;

/**
 * The times that this journal was made of a backup, and where ids of rows and numbers of attempts went on each time. Providers and operators may
 * remember those of the journal that was replaced, so none is given again.
 */
export class Restores implements RestoresTable {
  readonly #db: DatabaseSync;
  /** The first id of each time, newest first. */
  #firstIds: readonly number[] = [];
  /** Wall clock, of the last time; absent for a journal that was never restored. */
  restoredMs: number | undefined;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#read();
  }

  /** No id of a row is given below this. */
  get firstId(): number {
    return this.#firstIds[0] ?? 0;
  }

  /** Notes a restore: what is given from then on is above all that this journal or the replaced one can have given. */
  add(nowMs: number): void {
    const highest = Math.max(this.firstId, this.#highestAttemptId(), ...NUMBERED.map((table) => this.#sequenceOf(table)));
    const byClock = (nowMs - EPOCH_MS) * IDS_A_MS;
    const least = alignedUp(Math.max(highest + IDS_AHEAD, byClock <= MOST_BY_CLOCK ? byClock : 0));
    // Not by `node:crypto`: its module takes 4 MB on every thread of the journal, and nobody guesses at this number.
    const firstId = least + Math.floor(Math.random() * STARTS) * ALIGNED_TO;
    this.#db.prepare("INSERT INTO restores (restored_ms, first_id) VALUES (?, ?)").run(nowMs, firstId);
    for (const table of NUMBERED) {
      this.#db.prepare("DELETE FROM sqlite_sequence WHERE name = ?").run(table);
      this.#db.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)").run(table, firstId - 1);
    }
    this.#read();
  }

  /** The number of an order's next attempt; `last` 0 where there was none. */
  attemptAfter(last: number): number {
    return 1 + (last > this.firstId ? last : this.firstId + this.attemptsUpTo(last));
  }

  /** How many attempts at an order there were up to its attempt of that number, lost ones not counted. */
  attemptsUpTo(attempt: number): number {
    return attempt - (this.#firstIds.find((firstId) => firstId < attempt) ?? 0);
  }

  #read(): void {
    const restores = rows(this.#db, "SELECT first_id, restored_ms FROM restores ORDER BY id DESC").all() as unknown as [number, number][];
    this.#firstIds = restores.map(([firstId]) => firstId);
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

function alignedUp(id: number): number {
  return Math.ceil(id / ALIGNED_TO) * ALIGNED_TO;
}
