import type { HrTime } from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import type { SpanData } from "../orders/span-data.ts";
import { monotonicMs } from "../threads/index.ts";
import type { SendSpans } from "./span-queue.ts";

const SERVICE_NAME = "order-pipeline";
// Includes the exporter's own retries. A slower collector cannot keep up anyway.
const TIMEOUT_MS = 5_000;
// NTP adjusts the wall clock in small steps all the time. Following steps below this would only move spans of one trace apart.
const CLOCK_WAS_SET_MS = 50;

/**
 * Sends spans over OTLP/HTTP to `endpoint`, a base URL. The exporter reads further standard variables (`OTEL_EXPORTER_OTLP_HEADERS`,
 * `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`). The packages are loaded only here.
 */
export async function otlpSender(endpoint: string): Promise<{ readonly send: SendSpans; close(): Promise<void> }> {
  const { SpanKind, SpanStatusCode, TraceFlags } = await import("@opentelemetry/api");
  const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-http");
  const { defaultResource, detectResources, envDetector, resourceFromAttributes } = await import("@opentelemetry/resources");
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, "")}/v1/traces`, timeoutMillis: TIMEOUT_MS });
  const resource = defaultResource()
    .merge(resourceFromAttributes({ "service.name": SERVICE_NAME, "process.pid": process.pid }))
    .merge(detectResources({ detectors: [envDetector] }));
  const scope = { name: SERVICE_NAME };
  const kinds = { server: SpanKind.SERVER, internal: SpanKind.INTERNAL, client: SpanKind.CLIENT };
  let offsetMs = Date.now() - monotonicMs();

  function readable({ traceId, spanId, parentSpanId, ...span }: SpanData): ReadableSpan {
    const contextOf = (id: string, isRemote: boolean) => ({ traceId, spanId: id, traceFlags: TraceFlags.SAMPLED, isRemote });
    const own = contextOf(spanId, false);
    const { startedAtMs, endedAtMs } = span;
    return {
      name: span.name,
      kind: kinds[span.kind],
      spanContext: () => own,
      ...(parentSpanId !== undefined && { parentSpanContext: contextOf(parentSpanId, span.kind === "server") }),
      startTime: hrTime(startedAtMs + offsetMs),
      endTime: hrTime(endedAtMs + offsetMs),
      duration: hrTime(endedAtMs - startedAtMs),
      status: span.error === undefined ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: span.error },
      attributes: span.attributes,
      links: [],
      events: span.events.map(({ name, atMs, attributes }) => ({ name, time: hrTime(atMs + offsetMs), attributes })),
      ended: true,
      resource,
      instrumentationScope: scope,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    };
  }

  return {
    send(spans) {
      const nowMs = Date.now() - monotonicMs();
      if (Math.abs(nowMs - offsetMs) > CLOCK_WAS_SET_MS) offsetMs = nowMs;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      exporter.export(spans.map(readable), ({ code, error }) => (code === 0 ? resolve() : reject(error ?? new Error("not exported"))));
      return promise;
    },
    close: () => exporter.shutdown(),
  };
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.floor((ms - seconds * 1_000) * 1e6)];
}
