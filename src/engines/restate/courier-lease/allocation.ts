/**
 * Who holds how many couriers: the pure part of the `CourierLease` object. Every node calls it now and then with what it holds and wants
 * (`LeaseSync`) and learns what it may use (`LeaseAnswer`).
 *
 * Rules:
 * 1. The sum of `held` over all nodes never grows past the capacity. A node is given only what nobody holds; what it holds counts as
 *    held until it has said that it holds less, or has been dropped.
 * 2. A node is dropped only when another one has seen its `seq` unchanged for that node's whole `leaseMs` (see `lease-holder.ts`).
 * 3. A call that was overtaken by a later one of the same node changes nothing.
 */

export interface LeaseSync {
  /** Of one process: two of the same name in a row are two nodes. */
  readonly node: string;
  /** Grows with each call of a node. */
  readonly seq: number;
  readonly capacity: number;
  /** How long after it was sent a call keeps what it holds. */
  readonly leaseMs: number;
  /** How many it keeps, of those it was given; it has given back the rest when it sends this. */
  readonly keep: number;
  /** How many it could use now, those it keeps included. */
  readonly want: number;
  /** How long its first waiter has waited. */
  readonly waitedMs: number;
  /** Nodes that have not been heard of for as long as they hold, with the last `seq` that was seen of each. */
  readonly expired: readonly Seen[];
}

export interface Seen {
  readonly node: string;
  readonly seq: number;
}

export interface LeaseAnswer {
  /** How many it holds now. */
  readonly held: number;
  /** How many it should hold: fewer than `held` when others lack some, more when others have to give some back first. */
  readonly target: number;
  /** How many it could have at most, by what the others want now. */
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

// A courier that changes its node lies idle for a moment; so it does for a waiter that has waited clearly longer, not for each.
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
  // A node that neither holds nor wants anything is none.
  if (held === 0 && sync.want === 0) return { entries: others, answer };
  return { entries: [...others, { ...own, held }], answer };
}

/** Max-min fair: everyone gets what it wants up to an equal part; what is left over goes to whose waiter has waited longest. */
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
