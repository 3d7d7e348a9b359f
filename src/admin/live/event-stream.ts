import type { Response } from "express";

// Each open page costs a write four times a second.
const MAX_PAGES = 100;
// A browser that lost the stream, because the process was restarted, connects again after this.
const RECONNECT_MS = 500;
// A page that read none of so many messages is gone or asleep; it connects again by itself.
const MAX_MISSED = 120;

interface OpenPage {
  readonly response: Response;
  missed: number;
}

/** Server-sent events to every open page (HTML standard, section 9.2). */
export class EventStream {
  readonly #pages = new Set<OpenPage>();
  readonly #onWatched: (isWatched: boolean) => void;
  #closed = false;

  /** `onWatched` is called when the first page connects and when the last one has gone. */
  constructor(onWatched: (isWatched: boolean) => void) {
    this.#onWatched = onWatched;
  }

  get pages(): number {
    return this.#pages.size;
  }

  /** Makes a response a stream that begins with `first`. Returns false, with nothing sent, after `close` or when there are too many. */
  add(response: Response, event: string, first: unknown): boolean {
    if (this.#closed || this.#pages.size >= MAX_PAGES) return false;
    response.writeHead(200, {
      "X-Request-Id": response.locals.requestId,
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-store",
      // Else nginx would buffer the stream until its end.
      "X-Accel-Buffering": "no",
    });
    response.write(`retry: ${RECONNECT_MS}\n${messageOf(event, first)}`);
    const page = { response, missed: 0 };
    this.#pages.add(page);
    response.once("close", () => this.#gone(page));
    if (this.#pages.size === 1) this.#onWatched(true);
    return true;
  }

  /** Sends one message to all. A page that cannot keep up misses it: nothing is buffered for it beyond its socket. */
  send(event: string, data: unknown): void {
    // Encoded once; the pages share the bytes.
    const message = Buffer.from(messageOf(event, data));
    for (const page of this.#pages) {
      const { response } = page;
      if (!response.writableNeedDrain) {
        response.write(message);
        page.missed = 0;
      } else if (++page.missed > MAX_MISSED) {
        response.destroy();
      }
    }
  }

  /** Ends every stream and takes no more. */
  close(): void {
    this.#closed = true;
    for (const { response } of this.#pages) response.end();
  }

  #gone(page: OpenPage): void {
    if (this.#pages.delete(page) && this.#pages.size === 0) this.#onWatched(false);
  }
}

/** JSON without indentation has no line breaks, so it fits into one `data` line. */
function messageOf(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
