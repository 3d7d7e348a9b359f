import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { urlToHttpOptions } from "node:url";

export interface EngineCall {
  readonly method?: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds from now on, for the whole answer. */
  readonly timeoutMs: number;
}

export interface EngineAnswer {
  readonly status: number;
  readonly text: string;
}

/** The engine cannot be reached, or does not answer in time. Whether it has taken the call is anyone's guess. */
export class EngineUnreachable extends Error {}

// A node and its engine are neighbours; a connection that was idle for less is nearly never closed by the engine under a call.
const KEPT = { keepAlive: true, scheduling: "lifo", timeout: 4_000 } as const;

/** One of the engine's two doors, on connections that stay open. `node:http` and not `fetch`, which costs three times the CPU time. */
export class EngineClient {
  readonly #target: object;
  readonly #prefix: string;
  readonly #request: typeof httpRequest;
  readonly #agent: HttpAgent | HttpsAgent;

  constructor(url: string) {
    const parsed = new URL(url);
    const isHttps = parsed.protocol === "https:";
    this.#agent = isHttps ? new HttpsAgent(KEPT) : new HttpAgent(KEPT);
    this.#request = isHttps ? httpsRequest : httpRequest;
    this.#prefix = parsed.pathname.replace(/\/$/, "");
    this.#target = { ...urlToHttpOptions(parsed), agent: this.#agent };
  }

  /** Resolves with whatever status it answers. Rejects with `EngineUnreachable`. */
  call({ method = "POST", path, body, headers, timeoutMs }: EngineCall): Promise<EngineAnswer> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      const fail = (error: Error) => {
        isOver = true;
        clearTimeout(timer);
        reject(new EngineUnreachable(error.message));
      };
      const json = body === undefined ? undefined : JSON.stringify(body);
      const outgoing = this.#request(
        {
          ...this.#target,
          method,
          path: this.#prefix + path,
          headers: {
            accept: "application/json",
            ...headers,
            ...(json !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(json) }),
          },
        },
        (answer) => {
          let text = "";
          answer.setEncoding("utf8");
          answer.on("data", (part: string) => (text += part));
          answer.once("error", fail);
          answer.once("end", () => {
            isOver = true;
            clearTimeout(timer);
            resolve({ status: answer.statusCode as number, text });
          });
        },
      );
      const giveUp = () => void (isOver || outgoing.destroy(new Error(`no answer in ${timeoutMs} ms`)));
      // Where this process was stalled an answer may be here already, unread: sockets are looked at after timers and before immediates.
      const timer = setTimeout(() => setImmediate(giveUp), timeoutMs);
      outgoing.once("error", fail);
      outgoing.end(json);
    });
  }

  /** Calls under way fail. Later ones get new connections. */
  close(): void {
    this.#agent.destroy();
  }
}
