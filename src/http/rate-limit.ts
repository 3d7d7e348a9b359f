import type { RequestHandler } from "express";
import type { ErrorKind } from "../orders/error-kind.ts";
import { sendError } from "./answers.ts";
import { clientAt } from "./client.ts";
import type { TokenBuckets } from "./token-buckets.ts";

/**
 * Answers 429 where a client's bucket is empty. Every answer to a request that came this far says what the client has left, as
 * draft-ietf-httpapi-ratelimit-headers-11 writes it: `q` tokens fill a bucket in `w` seconds. Of the tokens that are left `r`, the client
 * may use them up in `t` seconds, and then finds as many again: so whoever keeps to `r` and `t` is never refused.
 */
export function limitRate(buckets: TokenBuckets, onRefused?: (kind: ErrorKind) => void): RequestHandler {
  const { perSecond, burst } = buckets.limit;
  // The draft knows whole seconds only, and a window of at least one.
  const secondsFor = (tokens: number) => Math.max(1, Math.ceil(tokens / perSecond));
  const policy = `"default";q=${burst};w=${secondsFor(burst)}`;
  const message = `too many orders from one client: it may send ${perSecond} a second, and ${burst} at once`;
  return (request, response, next) => {
    const left = buckets.take(response.locals.client ?? clientAt(request.socket.remoteAddress));
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
