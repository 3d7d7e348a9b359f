import { DEFAULT_WEIGHTS, PRIORITIES, type Weights } from "../threads/index.ts";

// An order gets at least this many times what one of the next lower priority gets: enough that chance does not turn that round.
const ADVANTAGE = 1.5;

// A rate is not reckoned from less.
const LEAST_OBSERVED_MS = 100;

/** How many asked lately, and how many of them are on their way, by priority. Reads no clock. */
export class Demand {
  readonly asked = new Float64Array(PRIORITIES);
  /** They have been admitted, and have not asked for their permits yet. */
  readonly coming = new Float64Array(PRIORITIES);
  readonly #overMs: number;
  #observedMs = 0;
  #isObserving = false;

  /** `overMs`: what came longer ago hardly counts. */
  constructor(overMs: number) {
    this.#overMs = overMs;
  }

  ask(priority: number, count: number): void {
    (this.asked[priority] as number) += count;
    this.#isObserving = true;
  }

  /** So much time has passed. If nobody asked in it, it says nothing about how many come once they come. */
  pass(ms: number): void {
    const kept = Math.exp(-ms / this.#overMs);
    for (let priority = 0; priority < PRIORITIES; priority++) (this.asked[priority] as number) *= kept;
    this.#observedMs = this.#observedMs * kept + (this.#isObserving ? this.#overMs * (1 - kept) : 0);
    this.#isObserving = false;
  }

  /** How many of a priority come while so much time passes. */
  arriving(priority: number, ms: number): number {
    return ((this.asked[priority] as number) * ms) / Math.max(LEAST_OBSERVED_MS, this.#observedMs);
  }
}

/**
 * The weights by which no order is worse off than one of a lower priority: what one gets, weight by demand, has to fall from each priority
 * to the next. Where it does not, the two are pooled and share their weights by demand (pool adjacent violators, Ayer et al. 1955). Pure.
 */
export function fairWeights(asked: ArrayLike<number>): Weights {
  const pools: { weight: number; claims: readonly number[]; claim: number }[] = [];
  for (let priority = 0; priority < PRIORITIES; priority++) {
    // Whoever has not asked may do so next.
    const claim = Math.max(1, asked[priority] as number) * ADVANTAGE ** -priority;
    let pool = { weight: DEFAULT_WEIGHTS[priority] as number, claims: [claim], claim };
    for (let above = pools.at(-1); above !== undefined && above.weight / above.claim < pool.weight / pool.claim; above = pools.at(-1)) {
      pool = { weight: above.weight + pool.weight, claims: [...above.claims, ...pool.claims], claim: above.claim + pool.claim };
      pools.pop();
    }
    pools.push(pool);
  }
  return pools.flatMap(({ weight, claims, claim }) => claims.map((own) => (weight * own) / claim)) as unknown as Weights;
}
