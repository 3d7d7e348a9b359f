import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";

/** One request that arrived. */
export interface Arrival {
  readonly id: string;
  readonly seq: number;
  readonly orderId: string;
  readonly atSeconds: number;
  readonly signatures: readonly string[];
  /** How many requests had arrived before it. */
  readonly index: number;
}

export type Behavior = (arrival: Arrival, response: ServerResponse, request: IncomingMessage) => void | Promise<void>;

export const accept: Behavior = (_arrival, response) => void response.writeHead(204).end();
export const hangUp: Behavior = (_arrival, response) => void response.destroy();

export function refuse(status: number, headers: Record<string, string> = {}): Behavior {
  return (_arrival, response) => void response.writeHead(status, headers).end();
}

/** A webhook receiver over HTTP that checks every signature with the reference library. */
export class Receiver {
  readonly arrivals: Arrival[] = [];
  /** What was wrong with a request, whatever it was answered. */
  readonly faults: string[] = [];
  behavior: Behavior = accept;
  secrets: readonly string[];
  nowMs: () => number;
  inFlight = 0;
  mostInFlight = 0;
  /** Requests that are kept waiting on purpose. */
  silent = 0;
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  #port = 0;

  constructor(secrets: readonly string[], nowMs: () => number = Date.now) {
    this.secrets = secrets;
    this.nowMs = nowMs;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hooks`;
  }

  /** Listens, after a `close` on the same port again. */
  async listen(): Promise<void> {
    if (this.#server.listening) return;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, "127.0.0.1", () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  /** Never answers; ends with the connection. */
  readonly keepSilent: Behavior = (_arrival, response) => {
    this.silent++;
    response.once("close", () => this.silent--);
  };

  seqs(): number[] {
    return this.arrivals.map(({ seq }) => seq);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.inFlight++;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    response.once("close", () => this.inFlight--);
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return;
    }
    const arrival = this.#check(request, Buffer.concat(chunks).toString());
    this.arrivals.push(arrival);
    await this.behavior(arrival, response, request);
  }

  #check(request: IncomingMessage, body: string): Arrival {
    const headers = request.headers as Record<string, string>;
    const { data } = JSON.parse(body);
    const id = headers["webhook-id"] ?? "";
    if (id !== `evt_${data.seq}`) this.faults.push(`event ${data.seq} came as ${id}`);
    if (request.method !== "POST" || headers["content-type"] !== "application/json") this.faults.push(`${request.method} ${id}`);
    for (const secret of this.secrets) {
      const fault = this.#verify(secret, body, headers);
      if (fault !== undefined) this.faults.push(`${id}: ${fault}`);
    }
    return {
      id,
      seq: data.seq,
      orderId: data.order_id,
      atSeconds: Number(headers["webhook-timestamp"]),
      signatures: (headers["webhook-signature"] ?? "").split(" "),
      index: this.arrivals.length,
    };
  }

  #verify(secret: string, body: string, headers: Record<string, string>): string | undefined {
    // The library takes the time from nowhere else; it is called synchronously, so nobody else sees the other time.
    const realNow = Date.now;
    Date.now = this.nowMs;
    try {
      new Webhook(secret).verify(body, headers);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    } finally {
      Date.now = realNow;
    }
  }
}
