import type { Labels, Sample } from "./family.ts";

/** Counts values by size, in plain arrays. Main thread only. */
export class Histogram {
  readonly #bounds: Float64Array;
  /** One more than the bounds: the last one counts the values above all bounds. */
  readonly #counts: Float64Array;
  #sum = 0;

  /** `bounds`: the largest value of each bucket, from the smallest up. */
  constructor(bounds: readonly number[]) {
    this.#bounds = Float64Array.from(bounds);
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    // Most values are small, and a binary search of a dozen bounds is no faster.
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    (this.#counts[bucket] as number)++;
    this.#sum += value;
  }

  /** In the exposition format, in which each bucket includes the smaller ones. */
  samples(name: string, labels: Labels = {}): Sample[] {
    let count = 0;
    const buckets = [...this.#counts].map((own, index) => {
      count += own;
      const le = this.#bounds[index] === undefined ? "+Inf" : String(this.#bounds[index]);
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [...buckets, { metricName: `${name}_sum`, labels, value: this.#sum }, { metricName: `${name}_count`, labels, value: count }];
  }
}
