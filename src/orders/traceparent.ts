import { randomBytes } from "node:crypto";

export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 of them. */
  readonly spanId: string;
  readonly sampled: boolean;
}

/** `traceparent` must be a valid one. */
export function traceContextOf(traceparent: string): TraceContext {
  const sampled = (Number.parseInt(traceparent.slice(53, 55), 16) & 1) === 1;
  return { traceId: traceparent.slice(3, 35), spanId: traceparent.slice(36, 52), sampled };
}

/** The start of a new trace, sampled, as a W3C `traceparent`. */
export function newTraceparent(): string {
  return `00-${randomBytes(16).toString("hex")}-${randomBytes(8).toString("hex")}-01`;
}
