import { EngineClient, EngineUnreachable } from "./engine-client.ts";

/** A version of the service as the engine knows it: an address, and what was found there. */
export interface Deployment {
  readonly id: string;
  readonly url: string;
}

const TIMEOUT_MS = 5_000;
// To find out what an endpoint has, the engine calls it; both may have just been started.
const REGISTER_TIMEOUT_MS = 30_000;
const MESSAGE_LENGTH = 500;

/** The engine's admin listener. Every method but `knows` rejects with `EngineUnreachable`, whose message is for an operator. Main thread only. */
export class EngineAdmin {
  readonly #client: EngineClient;
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
    this.#client = new EngineClient(url);
  }

  /** Rows of the engine's tables (`sys_invocation`, `state` and so on). */
  async query<Row>(query: string, timeoutMs: number = TIMEOUT_MS): Promise<Row[]> {
    const { rows } = (await this.#ask("POST", "/query", timeoutMs, { query })) as { rows: Row[] };
    return rows;
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

  /**
   * Makes the endpoint at `url` known: new orders go there from now on. The same address again changes nothing; with `force` what it has
   * now replaces what it had, for orders under way too.
   */
  async register(url: string, { force = false } = {}): Promise<Deployment> {
    const { id } = (await this.#ask("POST", "/deployments", REGISTER_TIMEOUT_MS, { uri: url, force })) as { id: string };
    return { id, url };
  }

  async deployments(): Promise<Deployment[]> {
    const { deployments } = (await this.#ask("GET", "/deployments", TIMEOUT_MS)) as { deployments: { id: string; uri: string }[] };
    return deployments.map(({ id, uri }) => ({ id, url: uri }));
  }

  /** How many invocations began on a deployment and have not ended: they have to end there. */
  async invocationsUnderWay(deploymentId: string): Promise<number> {
    const of = `pinned_deployment_id = ${sqlText(deploymentId)} AND status != 'completed'`;
    const [row] = await this.query<{ count: number }>(`SELECT count(*) AS count FROM sys_invocation WHERE ${of}`);
    return row?.count ?? 0;
  }

  /** The engine sends nothing to the deployment any more. What has not ended there would never end: see `invocationsUnderWay`. */
  async remove(deploymentId: string): Promise<void> {
    await this.#ask("DELETE", `/deployments/${encodeURIComponent(deploymentId)}?force=true`, TIMEOUT_MS);
  }

  close(): void {
    this.#client.close();
  }

  async #ask(method: "GET" | "POST" | "DELETE", path: string, timeoutMs: number, body?: object): Promise<unknown> {
    const { status, text } = await this.#client
      .call({ method, path, timeoutMs, ...(body !== undefined && { body }) })
      .catch((error: Error) => Promise.reject(new EngineUnreachable(`the engine cannot be reached at ${this.#url}: ${error.message}`)));
    if (status >= 300) throw new EngineUnreachable(`the engine answered ${status}: ${messageOf(text)}`);
    return text === "" ? undefined : JSON.parse(text);
  }
}

/** A text as SQL spells it. */
export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function messageOf(text: string): string {
  try {
    return String((JSON.parse(text) as { message?: unknown }).message ?? text).slice(0, MESSAGE_LENGTH);
  } catch {
    return text.slice(0, MESSAGE_LENGTH);
  }
}
