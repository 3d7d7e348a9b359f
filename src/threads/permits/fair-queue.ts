import { Chain, type Link } from "../chain.ts";

/** How many priorities there are: 0 is the first, 2 the last. */
export const PRIORITIES = 3;

export const DEFAULT_PRIORITY = 1;

/** By priority: the shares of what is granted while somebody waits of each. Above 0. */
export type Weights = readonly [number, number, number];

export const DEFAULT_WEIGHTS: Weights = [8, 4, 1];

/** The waiters of one priority: first come, first served. */
class Flow<T extends Link<T>> extends Chain<T> {
  /** When the first of them, or the next to come, is served, in virtual time. */
  startTag = 0;
  weight = 1;
}

/**
 * Who is served next: start-time fair queueing (Goyal, Vin and Cheng 1996). A grant takes `1 / weight` of virtual time, the earliest start
 * is next, and who comes to an empty line starts now: nobody saves up a share that he did not ask for.
 */
export class FairQueue<T extends Link<T> & { readonly priority: number }> {
  readonly #flows: readonly Flow<T>[] = DEFAULT_WEIGHTS.map(() => new Flow<T>());
  #now = 0;
  #length = 0;

  constructor() {
    this.weigh(DEFAULT_WEIGHTS);
  }

  get length(): number {
    return this.#length;
  }

  /** Changes the shares of all grants from now on. */
  weigh(weights: Weights): void {
    for (const [index, flow] of this.#flows.entries()) {
      const weight = weights[index] as number;
      // What a priority has had in advance stays the same part of a grant, whatever its grants will cost.
      flow.startTag = this.#now + (this.#startOf(flow) - this.#now) * (flow.weight / weight);
      flow.weight = weight;
    }
  }

  add(waiter: T): void {
    const flow = this.#flows[waiter.priority];
    if (flow === undefined) throw new RangeError(`priority must be 0 to ${PRIORITIES - 1}, not ${waiter.priority}`);
    flow.startTag = this.#startOf(flow);
    flow.add(waiter);
    this.#length++;
  }

  /** The one that goes next. Of two that are due at the same time it is the one of the higher priority. */
  first(): T | undefined {
    let next: Flow<T> | undefined;
    for (const flow of this.#flows) if (flow.first !== undefined && !(next !== undefined && next.startTag <= flow.startTag)) next = flow;
    return next?.first;
  }

  /** Takes a waiter out of the line. To be called once for each `add`. */
  remove(waiter: T): void {
    (this.#flows[waiter.priority] as Flow<T>).remove(waiter);
    this.#length--;
  }

  /** The first has been removed, and is served. */
  served({ priority }: T): void {
    const flow = this.#flows[priority] as Flow<T>;
    this.#now = flow.startTag;
    flow.startTag += 1 / flow.weight;
  }

  /** How many are served before a newcomer of this priority, if so many (`coming`) come first who are not in the line yet. */
  inFrontOf(priority: number, coming: ArrayLike<number>): number {
    const own = this.#flows[priority] as Flow<T>;
    let ahead = own.length + (coming[priority] as number);
    const startTag = this.#startOf(own) + ahead / own.weight;
    for (const [other, flow] of this.#flows.entries()) {
      if (flow === own) continue;
      const shares = (startTag - this.#startOf(flow)) * flow.weight;
      const most = other < priority ? Math.floor(shares) + 1 : Math.ceil(shares);
      ahead += Math.max(0, Math.min(most, flow.length + (coming[other] as number)));
    }
    return ahead;
  }

  #startOf(flow: Flow<T>): number {
    return flow.length > 0 ? flow.startTag : Math.max(flow.startTag, this.#now);
  }
}
