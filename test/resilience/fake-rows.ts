import { setImmediate as turn } from "node:timers/promises";
import type { DuePage, DueRequest } from "../../src/resilience/retry-queue.ts";

export interface Row {
  readonly id: number;
  readonly tries: number;
  readonly nextTryMs: number;
}

export interface FakeRowsOptions {
  /** How many turns of the event loop an answer takes, before and after the rows are looked at. */
  readonly turns?: () => number;
  /** A row that is taken is marked, and nobody gets it until its try is stored, like a compensation. Otherwise, like an event, it is only read. */
  readonly marks?: boolean;
}

/** Rows of a journal in memory. Answers some turns of the event loop later, like a thread would. */
export class FakeRows {
  readonly #rows = new Map<number, Row>();
  readonly #marked = new Set<number>();
  readonly #options: FakeRowsOptions;
  #lastId = 0;
  /** Says no to every call while it is set. */
  unavailable = false;
  /** Calls under way. */
  busy = 0;
  /** What it was asked for. */
  readonly takes: DueRequest[] = [];

  constructor(options: FakeRowsOptions = {}) {
    this.#options = options;
  }

  get size(): number {
    return this.#rows.size;
  }

  add(nextTryMs: number, tries = 0): Row {
    const row = { id: ++this.#lastId, tries, nextTryMs };
    this.#rows.set(row.id, row);
    return row;
  }

  get(id: number): Row | undefined {
    return this.#rows.get(id);
  }

  all(): Row[] {
    return [...this.#rows.values()];
  }

  /** Those that nobody has taken. */
  waiting(): Row[] {
    return this.all().filter(({ id }) => !this.#marked.has(id));
  }

  /** At once, as another writer of the journal does it. */
  remove(id: number): void {
    this.#rows.delete(id);
  }

  /** At once, as for an operator. */
  mark(id: number): void {
    if (this.#options.marks === true) this.#marked.add(id);
  }

  /** As after a restart. */
  unmark(id: number): void {
    this.#marked.delete(id);
  }

  /** `kind`: of rows that were never tried, or of all others; default: of all. */
  take(request: DueRequest, kind?: "first" | "again"): Promise<DuePage<Row>> {
    this.takes.push(request);
    const { nowMs, limit, leastTried, underWay } = request;
    return this.#answer(() => {
      const waiting = this.waiting().filter(({ tries }) => kind === undefined || (kind === "first") === (tries === 0));
      const byTime = waiting.sort((a, b) => (leastTried ? a.tries - b.tries : 0) || a.nextTryMs - b.nextTryMs || a.id - b.id);
      const isDue = ({ id, nextTryMs }: Row) => nextTryMs <= nowMs && !underWay.includes(id);
      const items = byTime.filter(isDue).slice(0, limit);
      for (const { id } of items) this.mark(id);
      const later = waiting.filter(({ nextTryMs }) => nextTryMs > nowMs).map(({ nextTryMs }) => nextTryMs);
      return { items, ...(later.length > 0 && { nextDueMs: Math.min(...later) }) };
    });
  }

  done(id: number): Promise<void> {
    return this.#answer(() => {
      this.unmark(id);
      this.remove(id);
    });
  }

  failed(id: number, nextTryMs: number): Promise<void> {
    return this.#answer(() => {
      this.unmark(id);
      const row = this.#rows.get(id);
      if (row !== undefined) this.#rows.set(id, { id, tries: row.tries + 1, nextTryMs });
    });
  }

  async #answer<T>(act: () => T): Promise<T> {
    this.busy++;
    try {
      await this.#wait();
      if (this.unavailable) throw new Error("disk full");
      const value = act();
      // Now it is so, and the caller does not know yet: whatever races with an answer does it here.
      await this.#wait();
      return value;
    } finally {
      this.busy--;
    }
  }

  async #wait(): Promise<void> {
    for (let turns = this.#options.turns?.() ?? 1; turns > 0; turns--) await turn();
  }
}
