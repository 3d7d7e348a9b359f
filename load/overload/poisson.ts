/** Moments in milliseconds from 0 until `seconds`, as of clients who know nothing of each other: a Poisson process. `random`: in [0, 1). */
export function poisson(perSecond: number, seconds: number, random: () => number): number[] {
  const next = (): number => (-Math.log(1 - random()) * 1_000) / perSecond;
  const moments: number[] = [];
  for (let ms = next(); ms < seconds * 1_000; ms += next()) moments.push(ms);
  return moments;
}
