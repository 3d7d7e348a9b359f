/** What the demo, campaigns and tests ask of the engine's admin listener. */
export class EngineAdmin {
  readonly #url: string;

  constructor(adminUrl: string) {
    this.#url = adminUrl;
  }

  /** Makes the endpoint at `url` known; returns the id of the deployment. `force`: takes what stands there now for the same deployment. */
  async register(url: string, { force = false } = {}): Promise<string> {
    const answer = (await this.#ask("POST", "/deployments", { uri: url, force })) as { id: string };
    return answer.id;
  }

  /** Rows of the engine's SQL tables (`sys_invocation`, `state` and so on). */
  async query<Row>(sql: string): Promise<Row[]> {
    const { rows } = (await this.#ask("POST", "/query", { query: sql })) as { rows: Row[] };
    return rows;
  }

  async #ask(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: { "content-type": "application/json", accept: "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }
}
