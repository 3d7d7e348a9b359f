/** Orders that come at random moments, as of clients who know nothing of each other: so many per second on average. `random`: in [0, 1). */
export function poisson<Order extends object>(
  random: () => number,
  perSecond: number,
  seconds: number,
  order: () => Order,
): (Order & { readonly atMs: number })[] {
  const arrivals: (Order & { readonly atMs: number })[] = [];
  const gapMs = (): number => (-Math.log(1 - random()) * 1_000) / perSecond;
  for (let atMs = gapMs(); atMs < seconds * 1_000; atMs += gapMs()) arrivals.push({ atMs, ...order() });
  return arrivals;
}
