import type { Metric, Registry } from "prom-client";

export type Labels = Readonly<Record<string, string>>;

/** One series of a family and its value. */
export interface Sample {
  readonly labels?: Labels;
  readonly value: number;
  /** Absent: the name of the family. `..._sum`, `..._bucket` and `..._count` in a histogram. */
  readonly metricName?: string;
}

/** A metric with all its series. `samples` reads their values at each scrape. */
export interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: () => readonly Sample[];
}

/**
 * Adds the family to the registry. The library's own metrics would do, but keep their values in tables by the text of their labels: an order
 * counts a dozen things, which cost 0.2 to 0.5 us each there, and some nanoseconds in a plain array.
 */
export function expose(registry: Registry, { name, type, help, samples }: Family): void {
  const get = async () => ({ name, type, help, values: samples(), aggregator: "sum" });
  // The registry reads nothing of a metric but its name and the result of `get`.
  registry.registerMetric({ name, get } as unknown as Metric);
}
