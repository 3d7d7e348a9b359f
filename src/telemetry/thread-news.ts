import type { SpanData, SpanEvent } from "../orders/span-data.ts";

/** What steps post beside their outcomes. */
export type ThreadNews = SpansNews | LogNews;

export interface SpansNews {
  readonly type: "spans";
  readonly spans: readonly SpanData[];
}

export interface LogNews {
  readonly type: "log";
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const LEVELS: readonly unknown[] = ["debug", "info", "warn", "error"] satisfies LogNews["level"][];
const KINDS: readonly unknown[] = ["server", "internal", "client"] satisfies SpanData["kind"][];
const TRACE_ID = /^[0-9a-f]{32}$/;
const SPAN_ID = /^[0-9a-f]{16}$/;

/** Undefined for anything else, in whatever part of it: whatever a step loads may post as well. Main thread. */
export function parseThreadNews(value: unknown): ThreadNews | undefined {
  if (!isObject(value)) return undefined;
  const { type, spans, level, message, fields } = value;
  if (type === "spans") return Array.isArray(spans) && spans.every(isSpan) ? { type, spans } : undefined;
  const isLog = type === "log" && LEVELS.includes(level) && typeof message === "string" && isObject(fields);
  return isLog ? { type, level: level as LogNews["level"], message, fields } : undefined;
}

/** Throughout: one bad span would cost all others of its batch, or end the process when that is sent. */
function isSpan(span: unknown): span is SpanData {
  if (!isObject(span)) return false;
  const { name, kind, traceId, spanId, parentSpanId, startedAtMs, endedAtMs, attributes, error, events } = span;
  return (
    typeof name === "string" &&
    KINDS.includes(kind) &&
    isId(traceId, TRACE_ID) &&
    isId(spanId, SPAN_ID) &&
    (parentSpanId === undefined || isId(parentSpanId, SPAN_ID)) &&
    Number.isFinite(startedAtMs) &&
    Number.isFinite(endedAtMs) &&
    areAttributes(attributes) &&
    (error === undefined || typeof error === "string") &&
    Array.isArray(events) &&
    events.every(isEvent)
  );
}

function isEvent(event: unknown): event is SpanEvent {
  return isObject(event) && typeof event.name === "string" && Number.isFinite(event.atMs) && areAttributes(event.attributes);
}

function areAttributes(attributes: unknown): boolean {
  return isObject(attributes) && Object.values(attributes).every((value) => typeof value === "string" || Number.isFinite(value));
}

function isId(id: unknown, pattern: RegExp): boolean {
  return typeof id === "string" && pattern.test(id);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
