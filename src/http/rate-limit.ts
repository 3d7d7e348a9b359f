import type { RequestHandler } from "express";
import type { ErrorKind } from "../orders/error-kind.ts";
import { sendError } from "./answers.ts";
import { networkOf } from "./network.ts";

/** Answers 429 where a client's bucket is empty. */
export function limitRate(buckets: TokenBuckets, onRefused?: (kind: ErrorKind) => void): RequestHandler {
  const { perSecond, burst } = buckets.limit;
  const message = `too many orders from one client: it may send ${perSecond} a second, and ${burst} at once`;
  return (request, response, next) => {
    if (buckets.take(response.locals.client ?? networkOf(request.socket.remoteAddress)) >= 0) {
      next();
      return;
    }
    onRefused?.("rate_limited");
    sendError(response, "rate_limited", message);
  };
}

/** The rate that one client may have. */
export interface RateLimit {
  /** Tokens that refill its bucket in a second, 1 or more. */
  readonly perSecond: number;
  /** Tokens that a full bucket holds, 1 or more. */
  readonly burst: number;
}

// Buckets of a generation. Two of them take some megabytes where that many clients have come.
const GENERATION = 32_768;
// The rounding error of sums of milliseconds, in tokens.
const ROUNDING = 1e-4;

/**
 * A token bucket for each client, as one number: when it will be full again (the generic cell rate algorithm). A client is forgotten, and
 * starts with a full bucket, when a whole generation of others has come since it asked: a flood from millions of addresses makes the limit
 * more lenient, but the process no larger.
 */
export class TokenBuckets {
  readonly limit: RateLimit;
  readonly #nowMs: () => number;
  readonly #generation: number;
  readonly #tokenMs: number;
  /** By client: when its bucket is full again. */
  #recent = new Map<string, number>();
  #older: ReadonlyMap<string, number> = new Map();

  /** `nowMs`: milliseconds, 0 or more, on a clock that never goes back. */
  constructor(limit: RateLimit, nowMs = () => performance.now(), generation = GENERATION) {
    this.limit = limit;
    this.#nowMs = nowMs;
    this.#generation = generation;
    this.#tokenMs = 1_000 / limit.perSecond;
  }

  /** Takes a token out of the client's bucket. Returns how many whole tokens are left; -1 where the bucket was empty. */
  take(client: string): number {
    const nowMs = this.#nowMs();
    const fullAtMs = Math.max(nowMs, this.#recent.get(client) ?? this.#older.get(client) ?? 0);
    const left = this.limit.burst - (fullAtMs - nowMs) / this.#tokenMs - 1 + ROUNDING;
    if (this.#recent.size >= this.#generation && !this.#recent.has(client)) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(client, left < 0 ? fullAtMs : fullAtMs + this.#tokenMs);
    return left < 0 ? -1 : Math.floor(left);
  }
}
