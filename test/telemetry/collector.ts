import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** A span as it was received; times in milliseconds since 1970. */
export interface ReceivedSpan {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly status: { readonly code: number; readonly message?: string };
  readonly events: readonly {
    readonly name: string;
    readonly atMs: number;
    readonly attributes: Readonly<Record<string, string | number>>;
  }[];
}

// biome-ignore lint/suspicious/noExplicitAny: JSON as the exporter wrote it.
type Json = any;

/** Stands in for an OTLP/HTTP collector: takes traces as JSON at `/v1/traces`. */
export class Collector implements AsyncDisposable {
  readonly spans: ReceivedSpan[] = [];
  readonly resources: Readonly<Record<string, string | number>>[] = [];
  asked = 0;
  /** What it answers; undefined: it does not. */
  status: number | undefined = 200;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer(async (request, response) => {
      const body = await text(request);
      this.asked++;
      if (request.method !== "POST" || request.url !== "/base/v1/traces") throw new Error(`${request.method} ${request.url}`);
      if (this.status === undefined) return;
      if (this.status === 200) this.#take(JSON.parse(body));
      response.writeHead(this.status, { "content-type": "application/json" }).end("{}");
    });
  }

  static async start(): Promise<Collector> {
    const collector = new Collector();
    await new Promise<void>((resolve) => collector.#server.listen(0, "127.0.0.1", resolve));
    return collector;
  }

  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/base`;
  }

  of(traceId: string): readonly ReceivedSpan[] {
    return this.spans.filter((span) => span.traceId === traceId);
  }

  #take({ resourceSpans }: Json): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      this.resources.push(valuesOf(resource.attributes));
      for (const { spans } of scopeSpans) this.spans.push(...spans.map(spanOf));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

function spanOf(span: Json): ReceivedSpan {
  const { name, kind, traceId, spanId, parentSpanId, status } = span;
  const events = span.events.map((event: Json) => ({
    name: event.name,
    atMs: milliseconds(event.timeUnixNano),
    attributes: valuesOf(event.attributes),
  }));
  const [startMs, endMs] = [milliseconds(span.startTimeUnixNano), milliseconds(span.endTimeUnixNano)];
  return { name, kind, traceId, spanId, parentSpanId, startMs, endMs, attributes: valuesOf(span.attributes), status, events };
}

function milliseconds(nanoseconds: string): number {
  return Number(BigInt(nanoseconds) / 1000n) / 1000;
}

function valuesOf(attributes: Json): Record<string, string | number> {
  return Object.fromEntries(
    attributes.map(({ key, value }: Json) => [key, value.stringValue ?? Number(value.intValue ?? value.doubleValue)]),
  );
}
