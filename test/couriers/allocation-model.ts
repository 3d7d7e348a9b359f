import type { Share } from "../../src/couriers/courier-share.ts";

/** A node that lives. */
export interface Claimant {
  readonly held: number;
  readonly wanted: number;
  readonly waitedMs: number;
}

/**
 * What a node gets that has stopped using all but `own.held`, as the function of the database does it, less the spares: couriers one by one, the
 * next to the node that has fewest of those that want more.
 */
export function allocated(own: Claimant, others: readonly Claimant[], total: number): Share {
  const all = [own, ...others];
  const gets = all.map(() => 0);
  const claim = (index: number) => {
    const { held = 0, waitedMs = 0 } = all[index] ?? {};
    return waitedMs + (held > (gets[index] ?? 0) ? 250 : 0) - (gets[index] ?? 0) * 1e6;
  };
  for (let left = total; left > 0; left--) {
    const [first] = [...all.keys()].filter((index) => (gets[index] ?? 0) < (all[index]?.wanted ?? 0)).sort((a, b) => claim(b) - claim(a));
    if (first !== undefined) gets[first] = (gets[first] ?? 0) + 1;
  }
  const free = total - all.reduce((sum, { held }) => sum + held, 0);
  const [share = 0] = gets;
  const held = own.held + Math.min(free, Math.max(0, share - own.held));
  const lacking = others.reduce((sum, each, index) => sum + Math.max(0, (gets[index + 1] ?? 0) - each.held), 0);
  return { held, target: share > held ? share : Math.max(share, held - lacking) };
}
