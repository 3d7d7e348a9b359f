import { randomBytes } from "node:crypto";
import { newTraceparent, traceContextOf } from "../orders/traceparent.ts";

/**
 * Who reads the trace context of an order: `log`, its log line alone; `calls`, the providers as well; `spans`, orders have spans of
 * their own, which are exported.
 */
export type TraceUse = "log" | "calls" | "spans";

/** What an order takes from its request. */
export interface OrderTrace {
  readonly traceparent?: string;
  readonly parentSpanId?: string;
}

// Of version 00 the length is fixed; a later version may have more behind it.
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:$|(?<!^00.{53})-)/;
const NONE: OrderTrace = {};

/**
 * The trace that an order belongs to: the client's if it sent a valid `traceparent` (W3C Trace Context), else a new one, sampled, where
 * somebody reads it. An order with a span of its own names that instead of the client's; one whose client does not sample has none.
 */
export function traceOf(header: string | string[] | undefined, use: TraceUse): OrderTrace {
  if (typeof header !== "string" || !TRACEPARENT.test(header)) return use === "log" ? NONE : { traceparent: newTraceparent() };
  if (use !== "spans") return { traceparent: header };
  const { traceId, spanId, sampled } = traceContextOf(header);
  if (!sampled) return { traceparent: header };
  return { traceparent: `00-${traceId}-${randomBytes(8).toString("hex")}-01`, parentSpanId: spanId };
}
