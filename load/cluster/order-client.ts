import { Agent, request } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

/** What a client was told at the end. */
export interface AnsweredOrder {
  readonly orderId: string;
  readonly amount: number;
  readonly status: number;
  /** The body of the answer, byte for byte. */
  readonly text: string;
  /** How often it asked. */
  readonly asked: number;
  readonly ms: number;
}

interface Received {
  readonly status: number;
  readonly text: string;
  readonly retryAfterMs: number | undefined;
  readonly replayed: boolean;
}

// Longer than the deadline of an order; a node that takes longer than that has failed.
const ANSWER_TIMEOUT_MS = 30_000;
const PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;
/** Refusals after which nothing is kept and the same request may be sent again. */
const AGAIN = new Set(["overloaded", "shutting_down", "canceled"]);

/** A client that asks until its order has ended, as the API page asks of clients: again after a refusal, with the same key. */
export class OrderClient implements Disposable {
  readonly #agent = new Agent({ keepAlive: true });
  /** Answers of each kind that made it ask again. */
  readonly refusals = new Map<string, number>();

  /** `urlFor`: where to ask the n-th time. Throws when the order has not ended after `timeoutMs`. */
  async place(orderId: string, amount: number, urlFor: (asked: number) => string, timeoutMs: number): Promise<AnsweredOrder> {
    const startedAtMs = performance.now();
    for (let asked = 1; ; asked++) {
      const received = await this.ask(orderId, amount, urlFor(asked)).catch((error: Error) => error);
      const why = received instanceof Error ? "broken" : againBecause(received);
      const ms = performance.now() - startedAtMs;
      if (!(received instanceof Error) && why === undefined) {
        return { orderId, amount, status: received.status, text: received.text, asked, ms };
      }
      this.refusals.set(why ?? "broken", (this.refusals.get(why ?? "broken") ?? 0) + 1);
      if (ms > timeoutMs) throw new Error(`${orderId} has not ended after ${Math.round(ms)} ms; last: ${describe(received)}`);
      const asksForMs = received instanceof Error ? undefined : received.retryAfterMs;
      await pause(Math.min(LONGEST_PAUSE_MS, asksForMs ?? PAUSE_MS));
    }
  }

  /** Once. Rejects when the connection breaks. */
  ask(orderId: string, amount: number, url: string): Promise<Received> {
    const body = JSON.stringify({ order_id: orderId, amount });
    return new Promise((resolve, reject) => {
      const headers = { "content-length": Buffer.byteLength(body), "idempotency-key": `key-${orderId}` };
      const sent = request(url, { method: "POST", agent: this.#agent, headers, timeout: ANSWER_TIMEOUT_MS }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => (text += part));
        response.once("error", reject);
        response.once("end", () => {
          const retryAfter = response.headers["retry-after"];
          resolve({
            status: response.statusCode ?? 0,
            text,
            retryAfterMs: retryAfter === undefined ? undefined : Number(retryAfter) * 1_000,
            replayed: response.headers["idempotent-replayed"] === "true",
          });
        });
      });
      sent.once("timeout", () => sent.destroy(new Error(`no answer in ${ANSWER_TIMEOUT_MS} ms`)));
      sent.once("error", reject);
      sent.end(body);
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

/** Undefined for the end of an order. */
function againBecause({ text }: Received): string | undefined {
  let kind: string | undefined;
  try {
    kind = (JSON.parse(text) as { error?: { kind?: string } }).error?.kind;
  } catch {
    return "no JSON";
  }
  return kind !== undefined && AGAIN.has(kind) ? kind : undefined;
}

function describe(received: Received | Error): string {
  return received instanceof Error ? received.message : `${received.status} ${received.text.slice(0, 200)}`;
}
