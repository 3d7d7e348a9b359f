/** The smallest value that at least a share `q` (0 to 1) of the values does not exceed. Throws when there are no values. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];
  if (value === undefined) throw new RangeError("quantile of no values");
  return value;
}

/** Of an even number of values the mean of the two in the middle. Throws when there are no values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const [lower, upper] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]];
  if (lower === undefined || upper === undefined) throw new RangeError("median of no values");
  return (lower + upper) / 2;
}

/** For `Round.latencyMs`: percentiles and their values. */
export function percentiles(values: readonly number[]): (readonly [percentile: number, value: number])[] {
  return [50, 90, 99, 99.9, 100].map((percent) => [percent, quantile(values, percent / 100)] as const);
}
