import type { Direction } from "../../test/support/tcp-proxy.ts";
import { randomFrom } from "../stand-in/random.ts";

/** What is done to a cluster. `node` counts from 0; times in milliseconds. */
export type Blow =
  | { readonly kind: "kill"; readonly node: number; readonly downMs: number }
  | { readonly kind: "freeze"; readonly node: number; readonly ms: number }
  | { readonly kind: "kill database"; readonly downMs: number }
  | { readonly kind: "cut"; readonly node: number; readonly ms: number; readonly directions: readonly Direction[] }
  | { readonly kind: "failover"; readonly downMs: number };

/** `after`: when so many orders have been asked for. */
export type Planned = Blow & { readonly after: number };

/** How often each kind of blow falls, and on what. */
export interface PlanOptions {
  readonly kills: number;
  readonly freezes: number;
  readonly databaseKills: number;
  /** In each direction. */
  readonly cuts: number;
  readonly failovers: number;
  readonly orders: number;
  readonly nodes: number;
  readonly leaseMs: number;
}

// As long as a supervisor takes.
const DOWN_MS = [200, 1_500] as const;
const LEASES = [1, 4] as const;
const CUTS: readonly (readonly Direction[])[] = [["to-server"], ["to-client"]];

/** All blows, mixed and spread over the orders. Depends on the seed and the options alone. */
export function planOf(seed: number, { orders, nodes, leaseMs, ...blows }: PlanOptions): Planned[] {
  const random = randomFrom(`${seed} blows`);
  const between = ([least, most]: readonly [number, number]) => Math.round(least + random() * (most - least));
  const node = () => Math.floor(random() * nodes);
  const leasesMs = () => between([LEASES[0] * leaseMs, LEASES[1] * leaseMs]);
  const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);
  const all: Blow[] = [
    ...times(blows.kills, () => ({ kind: "kill" as const, node: node(), downMs: between(DOWN_MS) })),
    ...times(blows.freezes, () => ({ kind: "freeze" as const, node: node(), ms: leasesMs() })),
    ...times(blows.databaseKills, () => ({ kind: "kill database" as const, downMs: between(DOWN_MS) })),
    ...CUTS.flatMap((directions) => times(blows.cuts, () => ({ kind: "cut" as const, node: node(), ms: leasesMs(), directions }))),
    ...times(blows.failovers, () => ({ kind: "failover" as const, downMs: between(DOWN_MS) })),
  ];
  const drawn = all.map((blow) => ({ blow, place: random() })).sort((one, other) => one.place - other.place);
  return drawn.map(({ blow }, index) => ({ ...blow, after: Math.round(((index + random()) * orders) / (all.length + 1)) }));
}
