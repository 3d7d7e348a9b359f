import { JournalUnavailable } from "../../../orders/order-journal.ts";

/** Names of the engine's tables and columns are its own; what stands in `state` is ours. */
export type Row = Readonly<Record<string, unknown>>;

// A look at a million orders takes the engine a second or two; whoever asks should not wait much longer than that.
const TIMEOUT_MS = 10_000;

/** Reads the engine's tables by SQL. */
export class Introspection {
  readonly #url: URL;

  /** `adminUrl`: of the engine's admin listener. */
  constructor(adminUrl: string) {
    this.#url = new URL("query", adminUrl.endsWith("/") ? adminUrl : `${adminUrl}/`);
  }

  /** Rows that a SELECT finds. Rejects with `JournalUnavailable` when the engine cannot be asked. */
  async rows(query: string): Promise<readonly Row[]> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(this.#url, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify({ query }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      text = await response.text();
    } catch (error) {
      const { cause, message } = error as { cause?: { code?: string }; message: string };
      throw new JournalUnavailable(`the engine cannot be asked (${cause?.code ?? message})`);
    }
    if (!response.ok) throw new JournalUnavailable(`the engine refused a query (HTTP ${response.status}): ${text.slice(0, 200)}`);
    return (JSON.parse(text) as { rows: Row[] }).rows;
  }
}

/** A text as SQL writes it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
