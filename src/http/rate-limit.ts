import type { RequestHandler } from "express";
import type { ErrorKind } from "../orders/error-kind.ts";
import { sendError } from "./answers.ts";
import { networkOf } from "./network.ts";
import type { TokenBuckets } from "./token-buckets.ts";

/**
 * Answers 429 where a client's bucket is empty. Every answer has the headers of draft-ietf-httpapi-ratelimit-headers-11: `q` tokens fill a
 * bucket in `w` seconds, and `r` tokens are left. A client that spreads these `r` tokens over `t` seconds finds as many again after
 * them, so a client that keeps to `r` and `t` is never refused.
 */
export function limitRate(buckets: TokenBuckets, onRefused?: (kind: ErrorKind) => void): RequestHandler {
  const { perSecond, burst } = buckets.limit;
  // The draft has whole seconds only, and a window of at least one.
  const secondsFor = (tokens: number) => Math.max(1, Math.ceil(tokens / perSecond));
  const policy = `"default";q=${burst};w=${secondsFor(burst)}`;
  const message = `too many orders from one client: it may send ${perSecond} a second, and ${burst} at once`;
  return (request, response, next) => {
    const left = buckets.take(response.locals.client ?? networkOf(request.socket.remoteAddress));
    const remaining = Math.max(0, left);
    response.setHeader("RateLimit-Policy", policy);
    response.setHeader("RateLimit", `"default";r=${remaining};t=${secondsFor(remaining)}`);
    if (left >= 0) {
      next();
      return;
    }
    onRefused?.("rate_limited");
    sendError(response, "rate_limited", message);
  };
}
