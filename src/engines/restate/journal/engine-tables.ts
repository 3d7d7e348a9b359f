import { JournalUnavailable } from "../../../orders/order-journal.ts";
import type { EngineAdmin } from "../client/engine-admin.ts";
import { EngineUnreachable } from "../client/engine-client.ts";

export { sqlText as quoted } from "../client/engine-admin.ts";

/** A row as the engine gives it: columns that are null are left out. */
export type Row = Readonly<Record<string, unknown>>;

// A look at a million orders takes the engine a second or two; whoever asks should not wait much longer than that.
const TIMEOUT_MS = 10_000;

/** The engine's tables, for whoever expects a journal. Names of tables and columns are the engine's; what stands in `state` is ours. */
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

/** The same for any question to the engine. */
export async function orUnavailable<Answer>(asked: Promise<Answer>): Promise<Answer> {
  try {
    return await asked;
  } catch (error) {
    throw error instanceof EngineUnreachable ? new JournalUnavailable(`the engine did not answer (${error.message})`) : error;
  }
}
