import { randomInt } from "node:crypto";
import type { Client } from "./client.ts";

/** What one client may ask for. */
export interface RateLimit {
  /** Tokens that come into its bucket in a second, 1 or more. */
  readonly perSecond: number;
  /** Tokens that a full bucket holds, 1 or more. */
  readonly burst: number;
}

export interface TokenBucketOptions {
  /** Milliseconds, 0 or more, on a clock that never goes back. The process's own unless told. */
  readonly nowMs?: () => number;
  /** How many clients are remembered at most: 8 times a power of two. */
  readonly capacity?: number;
}

// As many as fit into one megabyte.
const CAPACITY = 65_536;
// Buckets among which one that is needed is looked for; with so many a table that is half full hardly ever has to throw one out.
const WAYS = 8;
// What sums of milliseconds may be wrong by, in tokens.
const ROUNDING = 1e-4;

/**
 * A token bucket for each client, in a table of fixed size. A bucket is one number, the time when it will be full again (the generic cell
 * rate algorithm), so one that is full needs no memory and no timer. Where a client finds no place, the fullest of its neighbors' buckets
 * goes, and its owner gets a full one: a flood from millions of addresses makes the limit more lenient, and never the process larger. Main
 * thread only.
 */
export class TokenBuckets {
  readonly limit: RateLimit;
  readonly #nowMs: () => number;
  readonly #tokenMs: number;
  // By place: who has the bucket, and when it is full again. Zeros are a full bucket of nobody.
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  readonly #fullAtMs: Float64Array;
  readonly #lastSet: number;
  // So that nobody knows which clients are neighbors.
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

  /** Takes a token out of the client's bucket. How many whole ones are left; -1 where there was none to take. */
  take({ high, low }: Client): number {
    const nowMs = this.#nowMs();
    const place = this.#placeOf(high, low);
    const fullAtMs = Math.max(nowMs, this.#fullAtMs[place] ?? 0);
    const left = this.limit.burst - (fullAtMs - nowMs) / this.#tokenMs - 1 + ROUNDING;
    if (left < 0) return -1;
    this.#fullAtMs[place] = fullAtMs + this.#tokenMs;
    return Math.floor(left);
  }

  /** Where the client's bucket is; it gets a place where it has none. */
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

/** Spreads neighboring addresses over the table: the finish of MurmurHash3, once for each half. */
function mix(high: number, low: number, seed: number): number {
  let bits = Math.imul(high ^ seed, 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13) ^ low, 0xc2b2ae35);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  return bits ^ (bits >>> 13);
}
