import type { Response } from "express";

// Pages that look at one service at a time. Each costs a write four times a second.
const MAX_CLIENTS = 100;
// A browser that has lost the stream, because the process was restarted, asks again after this.
const RECONNECT_MS = 500;
// A page that takes in nothing for so many messages is gone or asleep; it comes back by itself.
const MAX_MISSED = 120;

interface Client {
  readonly response: Response;
  missed: number;
}

/** Server-sent events to every page that is open (HTML standard, section 9.2). Main thread only. */
export class EventStream {
  readonly #clients = new Set<Client>();
  readonly #onAudience: (isWatched: boolean) => void;
  #closed = false;

  /** `onAudience` is called when the first page comes and when the last one has gone. */
  constructor(onAudience: (isWatched: boolean) => void) {
    this.#onAudience = onAudience;
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** Makes a response one of the streams, which begins with `first`. Returns false, with nothing sent, when there are too many or it is over. */
  add(response: Response, event: string, first: unknown): boolean {
    if (this.#closed || this.#clients.size >= MAX_CLIENTS) return false;
    response.writeHead(200, {
      "X-Request-Id": response.locals.requestId,
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-store",
      // A proxy in between must not wait for the end.
      "X-Accel-Buffering": "no",
    });
    response.write(`retry: ${RECONNECT_MS}\n${messageOf(event, first)}`);
    const client = { response, missed: 0 };
    this.#clients.add(client);
    response.once("close", () => this.#gone(client));
    if (this.#clients.size === 1) this.#onAudience(true);
    return true;
  }

  /** Sends one message to all. A page that cannot keep up misses it: nothing is kept for it beyond its socket's buffer. */
  send(event: string, data: unknown): void {
    // Encoded once; the pages share the bytes.
    const message = Buffer.from(messageOf(event, data));
    for (const client of this.#clients) {
      const { response } = client;
      if (!response.writableNeedDrain) {
        response.write(message);
        client.missed = 0;
      } else if (++client.missed > MAX_MISSED) {
        response.destroy();
      }
    }
  }

  /** Ends every stream and takes no more. */
  close(): void {
    this.#closed = true;
    for (const { response } of this.#clients) response.end();
  }

  #gone(client: Client): void {
    if (this.#clients.delete(client) && this.#clients.size === 0) this.#onAudience(false);
  }
}

/** JSON has no line breaks of its own, so it fits into one `data` line. */
function messageOf(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
