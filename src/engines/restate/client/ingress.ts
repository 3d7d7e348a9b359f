import { monotonicMs } from "../../../threads/index.ts";
import { EngineClient, EngineUnreachable } from "./engine-client.ts";

/** How to call a handler of an object. */
export interface HandlerCall {
  readonly object: string;
  readonly key: string;
  readonly handler: string;
  readonly body?: unknown;
  /** Concurrent calls with the same key join one invocation. */
  readonly idempotencyKey?: string;
  readonly timeoutMs: number;
}

/** The invocation was canceled before its handler began. */
export class InvocationCanceled extends Error {}

/** The engine's listener for calls of handlers. Main thread only. */
export class Ingress {
  readonly #client: EngineClient;
  #answeredAtMs = 0;

  constructor(url: string) {
    this.#client = new EngineClient(url);
  }

  /** The handler's answer. Rejects with `EngineUnreachable` or `InvocationCanceled`. */
  async call<Answer>({ object, key, handler, body, idempotencyKey, timeoutMs }: HandlerCall): Promise<Answer> {
    const { status, text } = await this.#client.call({
      path: `/${object}/${encodeURIComponent(key)}/${handler}`,
      timeoutMs,
      ...(body !== undefined && { body }),
      ...(idempotencyKey !== undefined && { headers: { "idempotency-key": idempotencyKey } }),
    });
    this.#answeredAtMs = monotonicMs();
    if (status === 200) return (text === "" ? undefined : JSON.parse(text)) as Answer;
    // The engine's status for a cancel. Every other failure of a handler is a fault of the service or of the engine.
    if (status === 409) throw new InvocationCanceled(text);
    throw new EngineUnreachable(`${object}.${handler}: ${status} ${text.slice(0, 200)}`);
  }

  /** When it answered a call last, on the clock of `monotonicMs`. */
  get answeredAtMs(): number {
    return this.#answeredAtMs;
  }

  /** Whether it answers. */
  async healthy(timeoutMs: number): Promise<boolean> {
    try {
      return (await this.#client.call({ method: "GET", path: "/restate/health", timeoutMs })).status === 200;
    } catch {
      return false;
    }
  }

  close(): void {
    this.#client.close();
  }
}
