import { EngineClient, EngineUnreachable } from "./engine-client.ts";

const TIMEOUT_MS = 5_000;

/** The engine's door for operators: what it knows, in SQL, and what it can be told to do. Main thread only. */
export class EngineAdmin {
  readonly #client: EngineClient;

  constructor(url: string) {
    this.#client = new EngineClient(url);
  }

  /** Rows of the engine's tables. Rejects with `EngineUnreachable`. */
  async query<Row>(query: string, timeoutMs: number = TIMEOUT_MS): Promise<Row[]> {
    const { status, text } = await this.#client.call({ path: "/query", body: { query }, timeoutMs });
    if (status !== 200) throw new EngineUnreachable(`query: ${status} ${text.slice(0, 200)}`);
    return (JSON.parse(text) as { rows: Row[] }).rows;
  }

  /** Cancels an invocation: one that waits ends without having begun. Does nothing where there is none. */
  async cancel(invocationId: string): Promise<void> {
    await this.#client.call({ method: "PATCH", path: `/invocations/${encodeURIComponent(invocationId)}/cancel`, timeoutMs: TIMEOUT_MS });
  }

  /** Whether the engine knows an object, and so an endpoint that has it. */
  async knows(object: string, timeoutMs: number): Promise<boolean> {
    try {
      return (await this.#client.call({ method: "GET", path: `/services/${object}`, timeoutMs })).status === 200;
    } catch {
      return false;
    }
  }

  close(): void {
    this.#client.close();
  }
}

/** A text as SQL spells it. */
export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
