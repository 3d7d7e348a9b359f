/**
 * Who holds how many couriers: the pure part of the `CourierLease` object. Every node calls it with what it holds and wants (`LeaseSync`),
 * and the answer says what it may use (`LeaseAnswer`).
 *
 * Rules:
 * 1. The sum of `held` over all nodes never exceeds the capacity. A node gets only couriers that no node holds. It holds them until it
 *    gives them back in a call, or is dropped.
 * 2. A node is dropped only when another one has seen its `seq` unchanged for that node's whole `leaseMs` (see `lease-holder.ts`).
 * 3. A call that arrives after a later one of the same node changes nothing.
 */

export interface LeaseSync {
  /** Unique for each process: a node that starts again is another one. */
  readonly node: string;
  /** Grows with each call of a node. */
  readonly seq: number;
  readonly capacity: number;
  /** For how long after it was sent a call keeps the node's couriers. */
  readonly leaseMs: number;
  /** How many of its couriers it keeps; it has stopped using the rest before it sends this. */
  readonly keep: number;
  /** How many it could use now, those it keeps included. */
  readonly want: number;
  /** How long its first waiter has waited. */
  readonly waitedMs: number;
  /** Nodes whose leases have expired as far as this node can see, with the last `seq` that it has seen of each. */
  readonly expired: readonly Seen[];
}

export interface Seen {
  readonly node: string;
  readonly seq: number;
}

export interface LeaseAnswer {
  /** How many it holds now. */
  readonly held: number;
  /** How many it should hold: fewer than `held` when others need some, more when others have to give some back first. */
  readonly target: number;
  /** The most it could have, by what the others want now. */
  readonly fairPart: number;
  /** All other nodes that hold or want something. */
  readonly others: readonly (Seen & { readonly leaseMs: number })[];
}

export interface LeaseEntry {
  readonly node: string;
  readonly seq: number;
  readonly leaseMs: number;
  readonly held: number;
  readonly want: number;
  readonly waitedMs: number;
}

// A courier that changes its node is idle for a moment, so it changes only for a waiter that has waited clearly longer.
const STAYS_FOR_MS = 250;

/** The entries after a call, and its answer. Neither changes `entries`. */
export function allocate(entries: readonly LeaseEntry[], sync: LeaseSync): { entries: readonly LeaseEntry[]; answer: LeaseAnswer } {
  const before = entries.find(({ node }) => node === sync.node);
  if (before !== undefined && sync.seq <= before.seq) {
    return { entries, answer: { held: 0, target: 0, fairPart: 0, others: [] } };
  }
  const others = entries.filter(
    ({ node, seq }) => node !== sync.node && !sync.expired.some((expired) => expired.node === node && expired.seq === seq),
  );
  const kept = before === undefined ? 0 : Math.min(sync.keep, before.held);
  const own: LeaseEntry = {
    node: sync.node,
    seq: sync.seq,
    leaseMs: sync.leaseMs,
    held: kept,
    want: sync.want,
    waitedMs: sync.waitedMs,
  };
  const shares = sharesOf([own, ...others], sync.capacity);
  const share = shares[0] ?? 0;
  const lacking = others.reduce((total, { held }, index) => total + Math.max(0, (shares[index + 1] ?? 0) - held), 0);
  const free = Math.max(0, sync.capacity - kept - sum(others));
  const held = kept + Math.min(free, Math.max(0, share - kept));
  const answer: LeaseAnswer = {
    held,
    target: share > held ? share : Math.max(share, held - lacking),
    fairPart: sharesOf([{ ...own, want: sync.capacity }, ...others], sync.capacity)[0] ?? 0,
    others: others.map(({ node, seq, leaseMs }) => ({ node, seq, leaseMs })),
  };
  // The entry of a node that neither holds nor wants anything goes.
  if (held === 0 && sync.want === 0) return { entries: others, answer };
  return { entries: [...others, { ...own, held }], answer };
}

/** Max-min fair: every node gets what it wants up to an equal part; the remainder goes to the nodes whose waiters have waited longest. */
function sharesOf(entries: readonly LeaseEntry[], capacity: number): readonly number[] {
  const shares = entries.map(() => 0);
  for (let left = capacity; left > 0; ) {
    const hungry = [...entries.keys()].filter((index) => (shares[index] ?? 0) < (entries[index]?.want ?? 0));
    if (hungry.length === 0) break;
    if (left < hungry.length) hungry.sort((a, b) => claimMs(entries[b], shares[b]) - claimMs(entries[a], shares[a]));
    for (const index of hungry.slice(0, left)) shares[index] = (shares[index] ?? 0) + 1;
    left -= Math.min(left, hungry.length);
  }
  return shares;
}

function claimMs(entry: LeaseEntry | undefined, share = 0): number {
  return entry === undefined ? 0 : entry.waitedMs + (entry.held > share ? STAYS_FOR_MS : 0);
}

function sum(entries: readonly LeaseEntry[]): number {
  return entries.reduce((total, { held }) => total + held, 0);
}
