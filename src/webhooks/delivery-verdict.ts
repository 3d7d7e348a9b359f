import type { EndpointOutcome } from "../retries/endpoint-health.ts";
import type { PostResult } from "./post-event.ts";

/** What a try says of the receiver. `tries`: failed ones of that event before it. */
export function deliveryVerdict(result: PostResult, tries: number, isDown: boolean): EndpointOutcome {
  if (result.type === "delivered") return "ok";
  if (result.type !== "failed") return undefined;
  const { kind, retryAfterMs = 0 } = result;
  const overloaded = kind === "overloaded";
  return {
    // An event that was refused before and is again says nothing new: a few that a receiver never takes must not stop all others.
    counts: kind !== "refused" || tries === 0 || isDown,
    overloaded,
    pauseMs: overloaded ? retryAfterMs : 0,
  };
}
