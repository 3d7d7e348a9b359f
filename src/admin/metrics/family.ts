import type { Metric, Registry } from "prom-client";
import { STEPS, type StepName } from "../../orders/steps.ts";

export type Labels = Readonly<Record<string, string>>;

/** One series of a family and its value. */
export interface Sample {
  readonly labels?: Labels;
  readonly value: number;
  /** Absent: the name of the family. `..._sum`, `..._bucket` and `..._count` in a histogram. */
  readonly metricName?: string;
}

/** A metric with all its series, as they are at one scrape. */
export interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly values: readonly Sample[];
}

export function counter(name: string, help: string, values: readonly Sample[]): Family {
  return { name, type: "counter", help, values };
}

export function gauge(name: string, help: string, values: readonly Sample[]): Family {
  return { name, type: "gauge", help, values };
}

/** A series for each step. */
export function ofSteps(value: (step: StepName) => number): Sample[] {
  return STEPS.map((step) => ({ labels: { step }, value: value(step) }));
}

/**
 * Adds the family to the registry. The library's own metrics would do, but keep their values in tables by the text of their labels: an
 * order counts a dozen things, which cost 0.2 to 0.5 us each there, and some nanoseconds in a plain array.
 */
export function expose(registry: Registry, family: Family): void {
  // The registry reads nothing of a metric but its name and the result of `get`.
  registry.registerMetric({ name: family.name, get: async () => ({ ...family, aggregator: "sum" }) } as unknown as Metric);
}

/** Counts values by size, in plain arrays. */
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

  family(name: string, help: string): Family {
    return { name, type: "histogram", help, values: this.samples(name) };
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
