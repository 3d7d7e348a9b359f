import type { Unavailable } from "../../src/orders/step.ts";
import type { PostAnswer } from "../../src/resilience/post.ts";
import { retryAfterMs } from "../../src/resilience/retry-after.ts";

// Too slow, and too much to do. Other answers from 300 to 499 are about this one call.
const UNAVAILABLE_BELOW_500: ReadonlySet<number> = new Set([408, 429]);
const SAYS_WHEN: ReadonlySet<number> = new Set([429, 503]);

/**
 * What an answer outside 2xx says about the provider itself; undefined where it is an answer to this order, so that the same call would
 * get the same one. `businessStatus` is such an answer too, unless it says when to ask again.
 */
export function unavailabilityOf({ status, retryAfter }: PostAnswer, businessStatus?: number): Unavailable | undefined {
  if (status < 500 && !UNAVAILABLE_BELOW_500.has(status)) return undefined;
  const waitMs = SAYS_WHEN.has(status) ? retryAfterMs(retryAfter, Date.now()) : undefined;
  if (waitMs !== undefined) return { retryAfterMs: waitMs };
  return status === businessStatus ? undefined : {};
}
