import { randomInt } from "node:crypto";
import type { Client } from "./client.ts";

/** The rate that one client may have. */
export interface RateLimit {
  /** Tokens that refill its bucket in a second, 1 or more. */
  readonly perSecond: number;
  /** Tokens that a full bucket holds, 1 or more. */
  readonly burst: number;
}

export interface TokenBucketOptions {
  /** Milliseconds, 0 or more, on a clock that never goes back; `performance.now()` where absent. */
  readonly nowMs?: () => number;
  /** How many clients have a bucket at most: 8 times a power of two. */
  readonly capacity?: number;
}

// Buckets that fit into one megabyte.
const CAPACITY = 65_536;
// Each client may have its bucket in one of so many places; then a table that is half full hardly ever evicts one.
const WAYS = 8;
// The rounding error of sums of milliseconds, in tokens.
const ROUNDING = 1e-4;

/**
 * A token bucket for each client, in a set-associative table of fixed size. A bucket is one number, the time when it will be full again (the
 * generic cell rate algorithm), so a full bucket needs no memory and no timer. A new client evicts the fullest bucket of its set, and the
 * evicted client starts again with a full one. So a flood from millions of addresses makes the limit more lenient, but the process no
 * larger. Main thread only.
 */
export class TokenBuckets {
  readonly limit: RateLimit;
  readonly #nowMs: () => number;
  readonly #tokenMs: number;
  // By place: the client of the bucket, and when it is full again. Zeros are a full bucket without a client.
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  readonly #fullAtMs: Float64Array;
  readonly #lastSet: number;
  // Nobody outside can know which clients share a set.
  readonly #seed = randomInt(2 ** 32);

  constructor(limit: RateLimit, { nowMs = () => performance.now(), capacity = CAPACITY }: TokenBucketOptions = {}) {
    this.limit = limit;
    this.#nowMs = nowMs;
    this.#tokenMs = 1_000 / limit.perSecond;
    this.#high = new Uint32Array(capacity);
    this.#low = new Uint32Array(capacity);
    this.#fullAtMs = new Float64Array(capacity);
    this.#lastSet = capacity / WAYS - 1;
  }

  /** Takes a token out of the client's bucket. Returns how many whole tokens are left; -1 where the bucket was empty. */
  take({ high, low }: Client): number {
    const nowMs = this.#nowMs();
    const place = this.#placeOf(high, low);
    const fullAtMs = Math.max(nowMs, this.#fullAtMs[place] ?? 0);
    const left = this.limit.burst - (fullAtMs - nowMs) / this.#tokenMs - 1 + ROUNDING;
    if (left < 0) return -1;
    this.#fullAtMs[place] = fullAtMs + this.#tokenMs;
    return Math.floor(left);
  }

  /** The place of the client's bucket; a new client gets one. */
  #placeOf(high: number, low: number): number {
    const first = (mix(high, low, this.#seed) & this.#lastSet) * WAYS;
    let fullest = first;
    for (let place = first; place < first + WAYS; place++) {
      if (this.#low[place] === low && this.#high[place] === high) return place;
      if ((this.#fullAtMs[place] ?? 0) < (this.#fullAtMs[fullest] ?? 0)) fullest = place;
    }
    this.#high[fullest] = high;
    this.#low[fullest] = low;
    this.#fullAtMs[fullest] = 0;
    return fullest;
  }
}

/** Spreads neighboring addresses over the table: the finalizer of MurmurHash3, once for each half. */
function mix(high: number, low: number, seed: number): number {
  let bits = Math.imul(high ^ seed, 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13) ^ low, 0xc2b2ae35);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  return bits ^ (bits >>> 13);
}
