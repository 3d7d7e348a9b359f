import type { DatabaseSync } from "node:sqlite";
import type { Readers } from "../../../src/journal/rules/reads.ts";
import type { CompensationStatus, OPEN_STATES } from "../../../src/orders/compensation-state.ts";
import type { CompensationRow } from "../../../src/orders/operator-journal.ts";
import { STEPS, type StepName } from "../../../src/orders/steps.ts";
import { rows } from "../tables/rows.ts";

// Rows that one page may look at where most are of another status: a few milliseconds.
const MAX_SCANNED = 5_000;

/** What has to be compensated, or was, oldest first. `row`: shows one. */
export function compensationList(db: DatabaseSync, row: (id: number) => CompensationRow | null): Readers["compensations"] {
  const open = (state: (typeof OPEN_STATES)[number]) => rows(db, openById("id, state", "rising", [state]));
  const statements = {
    pending: open("pending"),
    trying: open("trying"),
    held: open("held"),
    settled: rows(
      db,
      "SELECT id, 'settled' FROM compensations INDEXED BY compensations_settled WHERE note IS NOT NULL AND id > ? ORDER BY id LIMIT ?",
    ),
    // Most rows of a journal are done in the end, so those have no index of their own.
    done: rows(db, "SELECT id, state FROM compensations WHERE id > ? ORDER BY id LIMIT ?"),
  };
  return (status, cursor, limit) => {
    const [after = 0] = cursor ?? [];
    const items: CompensationRow[] = [];
    let scanned = 0;
    const found = statements[status].iterate(after, MAX_SCANNED) as Iterable<unknown> as Iterable<[id: number, status: CompensationStatus]>;
    for (const [id, state] of found) {
      scanned++;
      const item = state === status ? row(id) : null;
      if (item !== null) items.push(item);
      if (items.length === limit || scanned === MAX_SCANNED) return { items, next: [id] };
    }
    return { items };
  };
}

/**
 * Open compensations by id, as SQL: those after `?1` rising, or before it falling, up to `?2`. SQLite merges the parts of the index as it
 * goes.
 */
export function openById(
  columns: string,
  direction: "rising" | "falling",
  states: readonly CompensationStatus[],
  steps: readonly StepName[] = STEPS,
): string {
  const [beyond, order] = direction === "rising" ? [">", ""] : ["<", " DESC"];
  const part = (state: CompensationStatus, step: string) => `
    SELECT ${columns} FROM compensations INDEXED BY compensations_open
    WHERE state = '${state}' AND step = '${step}' AND ended_ms IS NULL AND id ${beyond} ?1`;
  const parts = states.flatMap((state) => steps.map((step) => part(state, step)));
  return `${parts.join(" UNION ALL ")} ORDER BY id${order} LIMIT ?2`;
}
