import { newTraceparent } from "../orders/traceparent.ts";

// Of version 00 the length is fixed; a later version may have more behind it.
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:$|(?<!^00.{53})-)/;

/** The `traceparent` that an order's calls carry: the client's if it sent a valid one (W3C Trace Context), else the start of a new trace. */
export function traceparentOf(header: string | string[] | undefined): string {
  return typeof header === "string" && TRACEPARENT.test(header) ? header : newTraceparent();
}
