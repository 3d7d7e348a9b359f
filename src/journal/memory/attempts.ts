import type {
  AttemptsTable,
  EndedAttempt,
  Ending,
  FailedAttempt,
  OpenAttempt,
  OpenAttemptsTable,
  RetiredOrdersTable,
} from "../rules/tables.ts";

/** An attempt that has ended, and the one before it at the same order. */
interface Ended {
  readonly orderId: string;
  row: EndedAttempt;
  before: Ended | undefined;
}

/** Attempts that have ended, in the order in which they ended. */
export class MemoryAttempts implements AttemptsTable {
  readonly #latest = new Map<string, Ended>();
  /** By id. Undefined where it was deleted. */
  readonly #all: (Ended | undefined)[] = [undefined];

  one(orderId: string, attempt: number): EndedAttempt | undefined {
    return this.#find(orderId, attempt)?.row;
  }

  latest(orderId: string): EndedAttempt | undefined {
    return this.#latest.get(orderId)?.row;
  }

  byId(id: number): ReturnType<AttemptsTable["byId"]> {
    const { orderId, row } = this.#all[id] as Ended;
    return { orderId, attempt: row[1], amount: row[2], error: row[5], interrupted: row[6], endedMs: row[4] };
  }

  before(orderId: string, attempt: number, limit: number): EndedAttempt[] {
    const found: EndedAttempt[] = [];
    for (let at = this.#latest.get(orderId); at !== undefined && found.length < limit; at = at.before) {
      if (at.row[1] < attempt) found.push(at.row);
    }
    return found;
  }

  /** Those at an order after an attempt. For lists. */
  after(orderId: string, attempt: number): EndedAttempt[] {
    const found: EndedAttempt[] = [];
    for (let at = this.#latest.get(orderId); at !== undefined && at.row[1] > attempt; at = at.before) found.push(at.row);
    return found;
  }

  add(orderId: string, ...attempt: [...OpenAttempt, ...Ending]): number {
    const id = this.#all.length;
    const ended: Ended = { orderId, row: [id, ...attempt], before: this.#latest.get(orderId) };
    this.#all.push(ended);
    this.#latest.set(orderId, ended);
    return id;
  }

  answer(orderId: string, attempt: number, answered: 0 | 1, json: string): boolean {
    const ended = this.#find(orderId, attempt);
    if (ended === undefined) return false;
    ended.row = ended.row.with(7, answered).with(8, json) as EndedAttempt;
    return true;
  }

  /** Nothing is ever restored in memory. */
  told(): void {}

  failedBefore(endedBeforeMs: number, afterEndedMs: number, afterId: number, limit: number): FailedAttempt[] {
    const found: FailedAttempt[] = [];
    for (const ended of this.#all) {
      if (ended === undefined) continue;
      const { orderId, row } = ended;
      const isAfter = row[4] > afterEndedMs || (row[4] === afterEndedMs && row[0] > afterId);
      if (row[5] !== null && row[4] < endedBeforeMs && isAfter) found.push([row[0], orderId, row[1], row[4]]);
    }
    return found.sort((a, b) => a[3] - b[3] || a[0] - b[0]).slice(0, limit);
  }

  remove(id: number): void {
    const ended = this.#all[id];
    if (ended === undefined) return;
    this.#all[id] = undefined;
    const latest = this.#latest.get(ended.orderId);
    if (latest !== ended) {
      let after = latest;
      while (after !== undefined && after.before !== ended) after = after.before;
      if (after !== undefined) after.before = ended.before;
    } else if (ended.before === undefined) this.#latest.delete(ended.orderId);
    else this.#latest.set(ended.orderId, ended.before);
  }

  /** Newest first, from before an id on. For lists. */
  *newest(beforeId: number): Iterable<{ readonly orderId: string; readonly row: EndedAttempt }> {
    for (let id = Math.min(beforeId, this.#all.length) - 1; id > 0; id--) {
      const ended = this.#all[id];
      if (ended !== undefined) yield ended;
    }
  }

  #find(orderId: string, attempt: number): Ended | undefined {
    let at = this.#latest.get(orderId);
    while (at !== undefined && at.row[1] !== attempt) at = at.before;
    return at;
  }
}

/** Attempts that run, one an order. */
export class MemoryOpenAttempts implements OpenAttemptsTable {
  readonly rows = new Map<string, OpenAttempt>();

  get(orderId: string): OpenAttempt | undefined {
    return this.rows.get(orderId);
  }

  add(orderId: string, attempt: number, amount: number, acceptedMs: number): boolean {
    if (this.rows.has(orderId)) return false;
    this.rows.set(orderId, [attempt, amount, acceptedMs]);
    return true;
  }

  remove(orderId: string): void {
    this.rows.delete(orderId);
  }

  some(limit: number): [orderId: string, ...OpenAttempt][] {
    const byId = [...this.rows].sort(([a], [b]) => (a < b ? -1 : 1));
    return byId.slice(0, limit).map(([orderId, row]) => [orderId, ...row]);
  }
}

/** Orders whose last failed attempt was deleted, with its number. */
export function retiredOrders(): RetiredOrdersTable {
  const attempts = new Map<string, number>();
  return {
    get isEmpty() {
      return attempts.size === 0;
    },
    lastAttempt: (orderId) => attempts.get(orderId) ?? 0,
    put: (orderId, attempt) => void attempts.set(orderId, Math.max(attempt, attempts.get(orderId) ?? 0)),
  };
}
