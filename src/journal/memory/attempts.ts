import type {
  AttemptsTable,
  EndedAttempt,
  Ending,
  FailedAttempt,
  OpenAttempt,
  OpenAttemptsTable,
  RetiredOrdersTable,
} from "../rules/tables.ts";

/** An attempt: one record from its acceptance on. */
export interface AttemptRecord {
  /** Undefined of one that has none yet. */
  id: number | undefined;
  readonly orderId: string;
  readonly attempt: number;
  readonly amount: number;
  readonly acceptedMs: number;
  /** The life that runs it, or still has to store its answer. */
  openBy: number | null;
  /** Null until it has ended; so are `error` and `json`. */
  endedMs: number | null;
  error: string | null;
  /** 0; 1: closed by a start or a takeover after a crash; 2 (`CLOSED_BY_RESTORE`): closed by a restore, and nobody has been told yet. */
  interrupted: number;
  answered: number;
  json: string | null;
  /** At the same order. */
  previous: AttemptRecord | undefined;
}

/**
 * Attempts in plain maps. `open_attempts` and `attempts` are one table here. An attempt gets its id when it ends, unless it was loaded with
 * one. Also the base of PostgreSQL's `BatchAttempts`.
 */
export class MemoryAttempts implements AttemptsTable {
  readonly open: OpenAttemptsTable;
  readonly #life: number;
  readonly #beforeChange: ((row: AttemptRecord) => void) | undefined;
  readonly #open = new Map<string, AttemptRecord>();
  /** The latest of each order, which leads to those before it. Most orders have one: a list for each would be work for the garbage collector. */
  readonly #latest = new Map<string, AttemptRecord>();
  /** Those that were loaded with an id. */
  readonly #loaded = new Map<number, AttemptRecord>();
  /** Those that got their id here, by it. Undefined where one was deleted. Not a map: that took half a microsecond an order. */
  readonly #ended: (AttemptRecord | undefined)[] = [undefined];

  /** `life`: who accepts. `beforeChange`: a row that was there is going to be changed. */
  constructor(life = 0, beforeChange?: (row: AttemptRecord) => void) {
    this.#life = life;
    this.#beforeChange = beforeChange;
    this.open = {
      get: (orderId) => openAttempt(this.#open.get(orderId)),
      add: (orderId, attempt, amount, acceptedMs) => {
        const isNew = !this.#open.has(orderId);
        if (isNew) this.accept(orderId, attempt, amount, acceptedMs);
        return isNew;
      },
      remove: (orderId) => {
        const row = this.#open.get(orderId);
        if (row !== undefined) this.#change(row, { openBy: null });
        this.#open.delete(orderId);
      },
      some: (limit) => {
        const sorted = [...this.orphans].sort((a, b) => byBytes(a.orderId, b.orderId));
        return sorted.slice(0, limit).map((row) => [row.orderId, row.attempt, row.amount, row.acceptedMs]);
      },
    };
  }

  /** Those that nobody runs any more, for the rules to close: after a start all that are open. */
  get orphans(): Iterable<AttemptRecord> {
    return this.#open.values();
  }

  /** A row that is there already, as another store has it. Returns the one that is here: the first that was loaded stays. */
  load(row: AttemptRecord): AttemptRecord {
    let later: AttemptRecord | undefined;
    let before = this.#latest.get(row.orderId);
    for (; before !== undefined && before.attempt > row.attempt; before = before.previous) later = before;
    if (before?.attempt === row.attempt) return before;
    row.previous = before;
    if (later === undefined) this.#latest.set(row.orderId, row);
    else later.previous = row;
    if (row.id !== undefined) this.#loaded.set(row.id, row);
    if (row.openBy !== null && row.attempt > (this.#open.get(row.orderId)?.attempt ?? 0)) this.#open.set(row.orderId, row);
    return row;
  }

  one(orderId: string, attempt: number): EndedAttempt | undefined {
    return endedAttempt(this.#find(orderId, (row) => row.attempt === attempt && row.endedMs !== null));
  }

  latest(orderId: string): EndedAttempt | undefined {
    return endedAttempt(this.#find(orderId, ({ endedMs }) => endedMs !== null));
  }

  byId(id: number): ReturnType<AttemptsTable["byId"]> {
    const { orderId, amount, attempt, error, interrupted, endedMs } = this.#row(id);
    return { orderId, amount, attempt, error, interrupted, endedMs: endedMs ?? 0 };
  }

  before(orderId: string, attempt: number, limit: number): EndedAttempt[] {
    const ended = this.#at(orderId).filter((row) => row.attempt < attempt && row.endedMs !== null);
    return [...ended.take(limit).map((row) => endedAttempt(row) as EndedAttempt)];
  }

  add(orderId: string, ...[attempt, , , endedMs, error, interrupted, answered, json]: [...OpenAttempt, ...Ending]): number {
    const open = this.#open.get(orderId);
    // Found among the few that are open: a look-up among all takes some microseconds.
    const row = open?.attempt === attempt ? open : (this.#find(orderId, (one) => one.attempt === attempt) as AttemptRecord);
    if (row.endedMs !== null) throw new Error(`attempt ${attempt} at order ${JSON.stringify(orderId)} has ended before`);
    this.#change(row, { endedMs, error, interrupted, answered, json });
    if (row.id !== undefined) return row.id;
    row.id = this.#ended.push(row) - 1;
    return row.id;
  }

  answer(orderId: string, attempt: number, answered: 0 | 1, json: string): boolean {
    const row = this.#find(orderId, (one) => one.attempt === attempt && one.endedMs !== null);
    if (row !== undefined) this.#change(row, { answered, json });
    return row !== undefined;
  }

  told(id: number): void {
    this.#change(this.#row(id), { interrupted: 1 });
  }

  failedBefore(endedBeforeMs: number, afterEndedMs: number, afterId: number, limit: number): FailedAttempt[] {
    const found: FailedAttempt[] = [];
    for (const { id = 0, orderId, attempt, error, endedMs } of this.newest(Number.MAX_SAFE_INTEGER)) {
      if (error === null || endedMs === null || endedMs >= endedBeforeMs) continue;
      if (endedMs > afterEndedMs || (endedMs === afterEndedMs && id > afterId)) found.push([id, orderId, attempt, endedMs]);
    }
    return found.sort((a, b) => a[3] - b[3] || a[0] - b[0]).slice(0, limit);
  }

  remove(id: number): void {
    const row = this.#row(id);
    const later = this.#find(row.orderId, ({ previous }) => previous === row);
    if (later !== undefined) later.previous = row.previous;
    else if (row.previous !== undefined) this.#latest.set(row.orderId, row.previous);
    else this.#latest.delete(row.orderId);
    if (!this.#loaded.delete(id)) this.#ended[id] = undefined;
  }

  /** Those that run. For lists. */
  get running(): IteratorObject<AttemptRecord> {
    return this.#open.values().filter(({ endedMs }) => endedMs === null);
  }

  /** In the order in which they ended, the newest first, from before an id on. For lists. */
  *newest(beforeId: number): Iterable<AttemptRecord> {
    for (let id = Math.min(beforeId, this.#ended.length) - 1; id > 0; id--) {
      const row = this.#ended[id];
      if (row !== undefined) yield row;
    }
  }

  /** Whether its order had a later attempt when the list began (`beganMs` of `EndedFilter`). */
  isSuperseded({ orderId, attempt }: AttemptRecord, beganMs: number): boolean {
    const latest = this.#find(orderId, (row) => row.attempt === attempt || row.acceptedMs < beganMs);
    return latest?.attempt !== attempt;
  }

  protected accept(orderId: string, attempt: number, amount: number, acceptedMs: number): AttemptRecord {
    return this.load({
      id: undefined,
      orderId,
      attempt,
      amount,
      acceptedMs,
      openBy: this.#life,
      endedMs: null,
      error: null,
      interrupted: 0,
      answered: 0,
      json: null,
      previous: undefined,
    });
  }

  #row(id: number): AttemptRecord {
    return (this.#loaded.get(id) ?? this.#ended[id]) as AttemptRecord;
  }

  /** The latest. */
  #find(orderId: string, isWanted: (row: AttemptRecord) => boolean): AttemptRecord | undefined {
    let row = this.#latest.get(orderId);
    while (row !== undefined && !isWanted(row)) row = row.previous;
    return row;
  }

  /** The latest first. */
  *#at(orderId: string): Generator<AttemptRecord> {
    for (let row = this.#latest.get(orderId); row !== undefined; row = row.previous) yield row;
  }

  #change(row: AttemptRecord, change: Partial<AttemptRecord>): void {
    this.#beforeChange?.(row);
    Object.assign(row, change);
  }
}

/** The order of ids in SQL, which is not that of strings here. */
export function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

function openAttempt(row: AttemptRecord | undefined): OpenAttempt | undefined {
  return row === undefined ? undefined : [row.attempt, row.amount, row.acceptedMs];
}

function endedAttempt(row: AttemptRecord | undefined): EndedAttempt | undefined {
  if (row === undefined) return undefined;
  const { id, attempt, amount, acceptedMs, endedMs, error, interrupted, answered, json } = row;
  return [id as number, attempt, amount, acceptedMs, endedMs as number, error, interrupted, answered, json as string];
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
