import { EngineClient } from "../client/engine-client.ts";

/** A version of the service as the engine knows it: an address, and what was found there. */
export interface Deployment {
  readonly id: string;
  readonly url: string;
}

/** The engine said no, or is not there. The message is for an operator. */
export class DeploymentError extends Error {}

// Finding out what an endpoint has needs a call of the engine to it; both may have just been started.
const REGISTER_TIMEOUT_MS = 30_000;
const TIMEOUT_MS = 10_000;

/** Deployments at the engine's admin door: registers them, counts what runs on them, removes them. */
export class Deployments {
  readonly #client: EngineClient;
  readonly #adminUrl: string;

  constructor(adminUrl: string) {
    this.#adminUrl = adminUrl;
    this.#client = new EngineClient(adminUrl);
  }

  /**
   * Makes the endpoint at `url` known: new orders go there from now on. The same address again changes nothing; with `force` what it has
   * now replaces what it had, for orders under way too. Throws `DeploymentError`.
   */
  async register(url: string, force: boolean): Promise<Deployment> {
    const { id } = (await this.#ask("POST", "/deployments", REGISTER_TIMEOUT_MS, { uri: url, force })) as { id: string };
    return { id, url };
  }

  async list(): Promise<Deployment[]> {
    const { deployments } = (await this.#ask("GET", "/deployments", TIMEOUT_MS)) as { deployments: { id: string; uri: string }[] };
    return deployments.map(({ id, uri }) => ({ id, url: uri }));
  }

  /** How many invocations that have not ended began on it: they have to end there. */
  async underWay(id: string): Promise<number> {
    const query = `SELECT count(*) AS count FROM sys_invocation WHERE pinned_deployment_id = '${id}' AND status != 'completed'`;
    const { rows } = (await this.#ask("POST", "/query", TIMEOUT_MS, { query })) as { rows: { count: number }[] };
    return rows[0]?.count ?? 0;
  }

  /** Nothing is sent there any more. What has not ended on it would never end, so look at `underWay` first. */
  async remove(id: string): Promise<void> {
    await this.#ask("DELETE", `/deployments/${encodeURIComponent(id)}?force=true`, TIMEOUT_MS);
  }

  close(): void {
    this.#client.close();
  }

  async #ask(method: "GET" | "POST" | "DELETE", path: string, timeoutMs: number, body?: object): Promise<unknown> {
    let answer: { status: number; text: string };
    try {
      answer = await this.#client.call({ method, path, timeoutMs, ...(body !== undefined && { body }) });
    } catch (error) {
      throw new DeploymentError(`the engine cannot be reached at ${this.#adminUrl}: ${(error as Error).message}`);
    }
    if (answer.status >= 300) throw new DeploymentError(`the engine answered ${answer.status}: ${messageOf(answer.text)}`);
    return answer.text === "" ? undefined : JSON.parse(answer.text);
  }
}

function messageOf(text: string): string {
  try {
    return String((JSON.parse(text) as { message?: unknown }).message ?? text).slice(0, 500);
  } catch {
    return text.slice(0, 500);
  }
}
