import { randomBytes } from "node:crypto";
import { newTraceparent, traceContextOf } from "../orders/traceparent.ts";

/** Where a trace context goes: `log`, into the log line only; `calls`, to providers too; `spans`, into exported spans as well. */
export type TraceUse = "log" | "calls" | "spans";

/** What a request says of its order's trace. */
export interface RequestTrace {
  readonly traceparent?: string;
  readonly parentSpanId?: string;
}

// Version 00 has a fixed length; a later version may have more fields at its end.
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:$|(?<!^00.{53})-)/;
const NONE: RequestTrace = {};

/**
 * The client's trace where it has a valid `traceparent` (W3C Trace Context), otherwise a new sampled one, or none where only the log would
 * get it. With `spans` the order has a span of its own, a child of the client's, unless the client does not sample.
 */
export function traceOf(header: string | string[] | undefined, use: TraceUse): RequestTrace {
  if (typeof header !== "string" || !TRACEPARENT.test(header)) return use === "log" ? NONE : { traceparent: newTraceparent() };
  // Of a later version what this one knows is passed on, as the standard says. Of any length, it made calls that providers refuse, so that they
  // counted as down.
  const known = header.startsWith("00") ? header : `00-${header.slice(3, 55)}`;
  if (use !== "spans") return { traceparent: known };
  const { traceId, spanId, sampled } = traceContextOf(known);
  if (!sampled) return { traceparent: known };
  return { traceparent: `00-${traceId}-${randomBytes(8).toString("hex")}-01`, parentSpanId: spanId };
}
