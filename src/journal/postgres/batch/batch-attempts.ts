import type { AttemptsTable, EndedAttempt, Ending, FailedAttempt, OpenAttempt, OpenAttemptsTable } from "../../rules/tables.ts";
import type { AttemptRow } from "./rows.ts";

/** What a batch knows of attempts, and what it changed. Both tables of the rules are one on PostgreSQL. */
export class BatchAttempts implements AttemptsTable {
  readonly open: OpenAttemptsTable;
  readonly added: AttemptRow[] = [];
  /** With the life that had it open when it was read. */
  readonly changed = new Map<AttemptRow, number | null>();
  readonly removed: number[] = [];
  /** Those of a dead life, which the rules are to close. */
  readonly orphans: AttemptRow[] = [];
  /** Old failed ones, which the rules may retire. */
  old: readonly AttemptRow[] = [];
  readonly #life: number;
  /** Rising. Most orders have one. */
  readonly #byOrder = new Map<string, AttemptRow[]>();
  readonly #byId = new Map<number, AttemptRow>();

  constructor(life: number) {
    this.#life = life;
    this.open = {
      get: (orderId) => openAttempt(this.#open(orderId)),
      add: (orderId, attempt, amount, acceptedMs) => this.#accept(orderId, attempt, amount, acceptedMs),
      remove: (orderId) => {
        const row = this.#open(orderId);
        if (row !== undefined) this.#change(row, { openBy: null });
      },
      // In the order of the other stores.
      some: (limit) => {
        const first = this.orphans.toSorted((a, b) => (a.orderId < b.orderId ? -1 : 1)).slice(0, limit);
        return first.map(({ orderId, attempt, amount, acceptedMs }) => [orderId, attempt, amount, acceptedMs]);
      },
    };
  }

  /** A row as the server, or this node, has it. Returns the one that this batch has: the first that was loaded stays. */
  load(row: AttemptRow): AttemptRow {
    const all = this.#byOrder.get(row.orderId);
    const known = all?.find(({ attempt }) => attempt === row.attempt);
    if (known !== undefined) return known;
    if (all === undefined) this.#byOrder.set(row.orderId, [row]);
    else all.splice(all.findLastIndex(({ attempt }) => attempt < row.attempt) + 1, 0, row);
    if (row.id !== undefined) this.#byId.set(row.id, row);
    return row;
  }

  one(orderId: string, attempt: number): EndedAttempt | undefined {
    return endedAttempt(this.#byOrder.get(orderId)?.find((row) => row.attempt === attempt && row.endedMs !== null));
  }

  latest(orderId: string): EndedAttempt | undefined {
    return endedAttempt(this.#byOrder.get(orderId)?.findLast(({ endedMs }) => endedMs !== null));
  }

  byId(id: number): ReturnType<AttemptsTable["byId"]> {
    const { orderId, amount, attempt, error, interrupted, endedMs } = this.#byId.get(id) as AttemptRow;
    return { orderId, amount, attempt, error, interrupted, endedMs: endedMs ?? 0 };
  }

  before(orderId: string, attempt: number, limit: number): EndedAttempt[] {
    const rows = (this.#byOrder.get(orderId) ?? []).filter((row) => row.attempt < attempt && row.endedMs !== null);
    return rows
      .slice(-limit)
      .reverse()
      .map((row) => endedAttempt(row) as EndedAttempt);
  }

  add(orderId: string, ...[attempt, , , endedMs, error, interrupted, answered, json]: [...OpenAttempt, ...Ending]): number {
    const row = this.#byOrder.get(orderId)?.find((one) => one.attempt === attempt) as AttemptRow;
    if (row.endedMs !== null) throw new Error(`attempt ${attempt} at order ${JSON.stringify(orderId)} has ended before`);
    this.#change(row, { endedMs, error, interrupted, answered, json });
    return row.id as number;
  }

  answer(orderId: string, attempt: number, answered: 0 | 1, json: string): boolean {
    const row = this.#byOrder.get(orderId)?.find((one) => one.attempt === attempt && one.endedMs !== null);
    if (row !== undefined) this.#change(row, { answered, json });
    return row !== undefined;
  }

  told(id: number): void {
    this.#change(this.#byId.get(id) as AttemptRow, { interrupted: 1 });
  }

  failedBefore(): FailedAttempt[] {
    return this.old.map(({ id, orderId, attempt, endedMs }) => [id as number, orderId, attempt, endedMs as number]);
  }

  remove(id: number): void {
    const row = this.#byId.get(id) as AttemptRow;
    const all = this.#byOrder.get(row.orderId) as AttemptRow[];
    all.splice(all.indexOf(row), 1);
    this.#byId.delete(id);
    this.removed.push(id);
  }

  #open(orderId: string): AttemptRow | undefined {
    return this.#byOrder.get(orderId)?.findLast(({ openBy }) => openBy !== null);
  }

  #accept(orderId: string, attempt: number, amount: number, acceptedMs: number): boolean {
    if (this.#open(orderId) !== undefined) return false;
    const ended = { endedMs: null, error: null, interrupted: 0, answered: 0, json: null };
    this.added.push(this.load({ id: undefined, orderId, attempt, amount, acceptedMs, openBy: this.#life, ...ended }));
    return true;
  }

  #change(row: AttemptRow, change: Partial<AttemptRow>): void {
    if (row.id !== undefined && !this.changed.has(row)) this.changed.set(row, row.openBy);
    Object.assign(row, change);
  }
}

function openAttempt(row: AttemptRow | undefined): OpenAttempt | undefined {
  return row === undefined ? undefined : [row.attempt, row.amount, row.acceptedMs];
}

function endedAttempt(row: AttemptRow | undefined): EndedAttempt | undefined {
  if (row === undefined) return undefined;
  const { id, attempt, amount, acceptedMs, endedMs, error, interrupted, answered, json } = row;
  return [id as number, attempt, amount, acceptedMs, endedMs as number, error, interrupted, answered, json as string];
}
