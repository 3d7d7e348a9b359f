import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { CompensationRow, Cursor, Page } from "../../../src/orders/operator-journal.ts";
import type { CompensationStatus } from "../../../src/orders/order-journal.ts";
import type { Compensations } from "../tables/compensations.ts";
import { rows } from "../tables/rows.ts";
import { pendingById } from "./pending.ts";

// Rows that one page may look at where most are of another status: a few milliseconds.
const MAX_LOOKS = 5_000;

/** What has to be compensated, or was, oldest first. */
export class CompensationList {
  readonly #compensations: Compensations;
  readonly #pending: StatementSync;
  readonly #settled: StatementSync;
  /** Most rows of a journal are done in the end, so those have no index of their own. */
  readonly #walk: StatementSync;

  constructor(db: DatabaseSync, compensations: Compensations) {
    this.#compensations = compensations;
    this.#pending = rows(db, pendingById("id", "rising"));
    this.#settled = rows(
      db,
      "SELECT id FROM compensations INDEXED BY compensations_settled WHERE note IS NOT NULL AND id > ? ORDER BY id LIMIT ?",
    );
    this.#walk = rows(db, "SELECT id, next_try_ms IS NULL AND note IS NULL FROM compensations WHERE id > ? ORDER BY id LIMIT ?");
  }

  page(status: CompensationStatus, cursor: Cursor | null, limit: number): Page<CompensationRow> {
    const [after = 0] = cursor ?? [];
    const { ids, next } = status === "done" ? this.#done(after, limit) : this.#indexed(status, after, limit);
    const items = ids.map((id) => this.#compensations.row(id)).filter((item) => item !== null);
    return { items, ...(next !== undefined && { next: [next] }) };
  }

  #indexed(status: "pending" | "settled", after: number | string, limit: number): Ids {
    const found = (status === "pending" ? this.#pending : this.#settled).all(after, limit) as unknown as [number][];
    const ids = found.map(([id]) => id);
    return { ids, next: ids.length < limit ? undefined : ids.at(-1) };
  }

  #done(after: number | string, limit: number): Ids {
    const ids: number[] = [];
    let looks = 0;
    let last: number | undefined;
    for (const row of this.#walk.iterate(after, MAX_LOOKS) as Iterable<unknown> as Iterable<[id: number, isDone: number]>) {
      looks++;
      last = row[0];
      if (row[1] === 1) ids.push(last);
      if (ids.length === limit) return { ids, next: last };
    }
    return { ids, next: looks < MAX_LOOKS ? undefined : last };
  }
}

interface Ids {
  readonly ids: readonly number[];
  readonly next: number | undefined;
}
