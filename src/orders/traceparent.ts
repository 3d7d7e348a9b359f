import { randomBytes } from "node:crypto";

/** The start of a new trace, sampled, as a W3C `traceparent`. */
export function newTraceparent(): string {
  return `00-${randomBytes(16).toString("hex")}-${randomBytes(8).toString("hex")}-01`;
}
