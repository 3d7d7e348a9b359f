import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { perStep } from "../../src/orders/steps.ts";

export interface Sending {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text and bytes go as they stand; anything else as JSON, with its content type. */
  readonly body?: unknown;
  readonly agent?: Agent;
  /** Hangs up. */
  readonly signal?: AbortSignal;
}

export interface Received {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Parsed on every look; throws where the body is no JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers whose shape is what they test.
  readonly json: any;
  readonly elapsedMs: number;
  /** It came over a connection that had been used before. */
  readonly reused: boolean;
}

/**
 * One request as it is described, on a connection of its own unless an agent is given. Unlike `fetch` it leaves everything as it
 * stands.
 */
export function send(port: number, { method = "GET", path = "/", headers = {}, body, agent, signal }: Sending): Promise<Received> {
  const raw = body === undefined || typeof body === "string" || Buffer.isBuffer(body);
  const payload = raw ? body : JSON.stringify(body);
  const length: Record<string, string> = payload === undefined ? {} : { "content-length": String(Buffer.byteLength(payload)) };
  const type: Record<string, string> = raw ? {} : { "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    const startedMs = performance.now();
    const outgoing = request(
      {
        host: "127.0.0.1",
        port,
        method,
        path,
        headers: { ...type, ...length, ...headers },
        agent: agent ?? new Agent(),
        ...(signal && { signal }),
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.once("error", reject);
        incoming.once("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            text,
            get json() {
              return JSON.parse(text);
            },
            elapsedMs: performance.now() - startedMs,
            reused: outgoing.reusedSocket,
          });
        });
      },
    );
    outgoing.once("error", reject);
    outgoing.end(payload);
  });
}

/** `POST /order`. */
export function postOrder(port: number, order: unknown, more: Sending = {}): Promise<Received> {
  return send(port, { method: "POST", path: "/order", body: order, ...more });
}

let ids = 0;

/** An order id that no other test uses: a placed order that is sent again gets its stored answer and runs nothing. */
export function newId(meaning: string): string {
  ids++;
  return `${meaning}-${ids}`;
}

/** An order whose three steps all take `ms`. */
export function orderOf(id: string, ms: number): { order_id: string; amount: number; delay_ms: Record<string, number> } {
  return { order_id: id, amount: 1, delay_ms: perStep(() => ms) };
}

/** `GET /debug/threads`. */
export interface ThreadsPage {
  readonly running: number;
  readonly started: number;
  readonly finished: number;
  readonly orders_in_flight: number;
  readonly replaced: number;
  readonly threads: readonly {
    readonly id: number;
    readonly pool: string;
    readonly running: number;
    readonly started: number;
    readonly finished: number;
    readonly heartbeat_age_ms: number;
  }[];
}

export async function threadsPage(adminPort: number): Promise<ThreadsPage> {
  return (await send(adminPort, { path: "/debug/threads" })).json;
}
