/** The smallest value that at least a share `q` (0 to 1) of the values does not exceed. Throws when there are no values. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];
  if (value === undefined) throw new RangeError("quantile of no values");
  return value;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** For `Round.latencyMs`: percentiles and their values. */
export function percentiles(values: readonly number[]): (readonly [percentile: number, value: number])[] {
  return [50, 90, 99, 99.9, 100].map((percent) => [percent, quantile(values, percent / 100)] as const);
}
