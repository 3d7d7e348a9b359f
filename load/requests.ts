import { Agent, type OutgoingHttpHeaders, request } from "node:http";

export interface Response {
  readonly status: number;
  readonly text: string;
  readonly replayed: boolean;
}

export interface Sending {
  readonly method?: "GET" | "POST";
  readonly path: string;
  readonly body?: object;
  readonly key?: string | undefined;
  readonly headers?: OutgoingHttpHeaders | undefined;
  /** Hangs up. */
  readonly signal?: AbortSignal;
}

// Longer than anything that the service may take for an answer.
const TIMEOUT_MS = 30_000;

/** Sends requests over connections that it keeps. */
export class Requests {
  readonly #agent: Agent;

  /** `connections`: at one time, to each port. */
  constructor(connections = 256) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  /** Rejects when the connection breaks. */
  send(port: number, { method = "GET", path, body, key, headers: further, signal }: Sending): Promise<Response> {
    const payload = body === undefined ? "" : JSON.stringify(body);
    const headers = {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(payload),
      ...(key !== undefined && { "idempotency-key": key }),
      ...further,
    };
    return new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port, method, path, headers, agent: this.#agent, timeout: TIMEOUT_MS };
      const sent = request({ ...options, ...(signal && { signal }) }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => (text += part));
        response.once("error", reject);
        response.once("close", () => reject(new Error("the answer was cut off")));
        response.once("end", () => {
          if (!response.complete) return;
          resolve({ status: response.statusCode ?? 0, text, replayed: response.headers["idempotent-replayed"] === "true" });
        });
      });
      sent.once("error", reject);
      sent.once("timeout", () => sent.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)));
      sent.end(payload);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
