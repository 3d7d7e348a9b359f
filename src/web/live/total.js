/** The sum of counts by kind. @param {Readonly<Record<string, number>>} counts */
export function total(counts) {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
