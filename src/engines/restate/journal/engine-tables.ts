import type { Cursor } from "../../../orders/operator-journal.ts";
import { JournalUnavailable } from "../../../orders/order-journal.ts";
import { type EngineAdmin, sqlText } from "../client/engine-admin.ts";
import { EngineUnreachable } from "../client/engine-client.ts";

export { sqlText };

/** A row as the engine gives it: columns that are null are left out. */
export type Row = Readonly<Record<string, unknown>>;

// The engine reads the state of a million orders in a second or two; an operator should not wait much longer than that.
const TIMEOUT_MS = 10_000;

/** The engine's tables in the terms of a journal. Names of tables and columns are the engine's; the values in `state` are ours. */
export class EngineTables {
  readonly #admin: Pick<EngineAdmin, "query">;

  constructor(admin: Pick<EngineAdmin, "query">) {
    this.#admin = admin;
  }

  /** Rows that a SELECT finds. Rejects with `JournalUnavailable` when the engine cannot be asked. */
  async rows(query: string): Promise<readonly Row[]> {
    return await orUnavailable(this.#admin.query<Row>(query, TIMEOUT_MS));
  }
}

/** Passes on the answer of the engine. Rejects with `JournalUnavailable` in place of `EngineUnreachable`. */
export async function orUnavailable<Answer>(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    throw error instanceof EngineUnreachable ? new JournalUnavailable(`the engine did not answer (${error.message})`) : error;
  }
}

/** Condition for the rows behind a cursor of (milliseconds, key), in a list in the order of these two columns; the keys always ascend. */
export function isAfter(msColumn: string, direction: ">" | "<", keyColumn: string, [ms, key]: Cursor): string {
  return `(${msColumn} ${direction} ${Number(ms)} OR (${msColumn} = ${Number(ms)} AND ${keyColumn} > ${sqlText(String(key))}))`;
}
