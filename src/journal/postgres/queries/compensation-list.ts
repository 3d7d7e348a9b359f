import type { CompensationStatus } from "../../../orders/compensation-state.ts";
import type { CompensationRow, Cursor, Page } from "../../../orders/operator-journal.ts";
import { STEPS, type StepName } from "../../../orders/steps.ts";
import { type CompensationFields, compensationRow } from "../../rules/tables.ts";
import { type Sql, type Statement, statement } from "../sql.ts";

// Rows that one page looks at where most are of another status: some milliseconds.
const MAX_SCANNED = 5_000;

const FIELDS = `c.id, a.order_id, a.attempt, c.step, a.amount, a.ended_ms, c.state, c.tries, c.next_try_ms, c.last_answer, c.ended_ms, c.note`;

const ONE = statement("compensation")`
    SELECT ${FIELDS} FROM compensations c CROSS JOIN LATERAL (SELECT * FROM attempts WHERE id = c.attempt_id LIMIT 1) a WHERE c.id = $1::bigint`;

const PAGES: Readonly<Record<CompensationStatus, Statement>> = {
  pending: pageOf("pending", openById("id", "rising", ["pending"], "$2::bigint")),
  trying: pageOf("trying", openById("id", "rising", ["trying"], "$2::bigint")),
  held: pageOf("held", openById("id", "rising", ["held"], "$2::bigint")),
  settled: pageOf("settled", "SELECT id FROM compensations WHERE note IS NOT NULL AND id > $1::bigint ORDER BY id LIMIT $2::bigint"),
  // Most rows are done in the end, so those have no index of their own.
  done: pageOf(
    "done",
    `SELECT id FROM (SELECT id, state FROM compensations WHERE id > $1::bigint ORDER BY id LIMIT ${MAX_SCANNED}) c WHERE state = 'done' ORDER BY id LIMIT $2::bigint`,
  ),
};

const LAST_SCANNED = statement("compensations-last-scanned")`
    SELECT id FROM compensations WHERE id > $1::bigint ORDER BY id LIMIT 1 OFFSET ${MAX_SCANNED - 1}`;

function pageOf(status: CompensationStatus, ids: string): Statement {
  return {
    name: `compensations-${status}`,
    text: `
      SELECT ${FIELDS} FROM (${ids}) page
      CROSS JOIN LATERAL (SELECT * FROM compensations WHERE id = page.id LIMIT 1) c
      CROSS JOIN LATERAL (SELECT * FROM attempts WHERE id = c.attempt_id LIMIT 1) a
      ORDER BY page.id`,
  };
}

/** Null where there is none of that id. */
export async function compensation(sql: Sql, id: number): Promise<CompensationRow | null> {
  const [row] = await sql.rows<CompensationFields>(ONE, [id]);
  return row === undefined ? null : compensationRow(row);
}

/** What has to be compensated, or was, oldest first. */
export async function compensationsPage(
  sql: Sql,
  status: CompensationStatus,
  cursor: Cursor | undefined,
  limit: number,
): Promise<Page<CompensationRow>> {
  const [after = 0] = cursor ?? [];
  // Before the page, which then looks at least as far: rows may go in between, but none comes back.
  const [lastScanned] = status === "done" ? await sql.rows<[number]>(LAST_SCANNED, [after]) : [];
  const items = (await sql.rows<CompensationFields>(PAGES[status], [after, limit])).map(compensationRow);
  const lastId = items.at(-1)?.id ?? 0;
  const next = items.length === limit ? lastId : lastScanned === undefined ? undefined : Math.max(lastId, lastScanned[0]);
  return { items, ...(next !== undefined && { next: [next] }) };
}

/**
 * Open compensations by id, as SQL: those after `$1` rising, or before it falling. Each part stops at the limit, so few rows are sorted.
 */
export function openById(
  columns: string,
  direction: "rising" | "falling",
  states: readonly CompensationStatus[],
  limit: string | number,
  steps: readonly StepName[] = STEPS,
): string {
  const [beyond, order] = direction === "rising" ? [">", "id"] : ["<", "id DESC"];
  const part = (state: CompensationStatus, step: string) => `
    (SELECT ${columns} FROM compensations WHERE state = '${state}' AND step = '${step}' AND ended_ms IS NULL AND id ${beyond} $1::bigint
     ORDER BY ${order} LIMIT ${limit})`;
  return `${states.flatMap((state) => steps.map((step) => part(state, step))).join(" UNION ALL ")} ORDER BY ${order} LIMIT ${limit}`;
}
