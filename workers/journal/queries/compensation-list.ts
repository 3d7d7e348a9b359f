import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { CompensationsTable } from "../../../src/journal/rules/tables.ts";
import type { CompensationStatus } from "../../../src/orders/compensation-state.ts";
import type { CompensationRow, Cursor, Page } from "../../../src/orders/operator-journal.ts";
import { rows } from "../tables/rows.ts";
import { type OPEN_STATES, openById } from "./open-compensations.ts";

// Rows that one page may look at where most are of another status: a few milliseconds.
const MAX_LOOKS = 5_000;

/** What has to be compensated, or was, oldest first. */
export class CompensationList {
  readonly #compensations: CompensationsTable;
  readonly #settled: StatementSync;
  readonly #open: Readonly<Record<(typeof OPEN_STATES)[number], StatementSync>>;
  /** Most rows of a journal are done in the end, so those have no index of their own. */
  readonly #all: StatementSync;

  constructor(db: DatabaseSync, compensations: CompensationsTable) {
    this.#compensations = compensations;
    this.#settled = rows(
      db,
      "SELECT id, 'settled' FROM compensations INDEXED BY compensations_settled WHERE note IS NOT NULL AND id > ? ORDER BY id LIMIT ?",
    );
    const open = (state: (typeof OPEN_STATES)[number]) => rows(db, openById("id, state", "rising", [state]));
    this.#open = { pending: open("pending"), trying: open("trying"), held: open("held") };
    this.#all = rows(db, "SELECT id, state FROM compensations WHERE id > ? ORDER BY id LIMIT ?");
  }

  page(status: CompensationStatus, cursor: Cursor | null, limit: number): Page<CompensationRow> {
    const [after = 0] = cursor ?? [];
    const { ids, next } = this.#idsOf(status, after, limit);
    const items = ids.map((id) => this.#compensations.row(id)).filter((item) => item !== null);
    return { items, ...(next !== undefined && { next: [next] }) };
  }

  #idsOf(status: CompensationStatus, after: number | string, limit: number): Ids {
    const rowsAfter = status === "done" ? this.#all : status === "settled" ? this.#settled : this.#open[status];
    const ids: number[] = [];
    let looks = 0;
    let last: number | undefined;
    for (const row of rowsAfter.iterate(after, MAX_LOOKS) as Iterable<unknown> as Iterable<[id: number, status: CompensationStatus]>) {
      looks++;
      last = row[0];
      if (row[1] === status) ids.push(last);
      if (ids.length === limit) return { ids, next: last };
    }
    return { ids, next: looks < MAX_LOOKS ? undefined : last };
  }
}

interface Ids {
  readonly ids: readonly number[];
  readonly next: number | undefined;
}
