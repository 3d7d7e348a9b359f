import { setImmediate as turn } from "node:timers/promises";
import type { DuePage } from "../../src/retries/retry-queue.ts";

export interface Row {
  readonly id: number;
  readonly tries: number;
  readonly nextTryMs: number;
}

/** Rows of a journal in memory. Answers some turns of the event loop later, like a thread would. */
export class FakeRows {
  readonly #rows = new Map<number, Row>();
  readonly #turns: () => number;
  #lastId = 0;
  /** Says no to every call while it is set. */
  unavailable = false;
  /** Calls under way. */
  busy = 0;
  reads = 0;
  mostAsked = 0;

  /** `turns`: how long the next answer takes, before and after the rows are looked at. */
  constructor(turns: () => number = () => 1) {
    this.#turns = turns;
  }

  get size(): number {
    return this.#rows.size;
  }

  add(nextTryMs: number): Row {
    const row = { id: ++this.#lastId, tries: 0, nextTryMs };
    this.#rows.set(row.id, row);
    return row;
  }

  get(id: number): Row | undefined {
    return this.#rows.get(id);
  }

  all(): Row[] {
    return [...this.#rows.values()];
  }

  /** At once, as another writer of the journal does it. */
  remove(id: number): void {
    this.#rows.delete(id);
  }

  due(nowMs: number, limit: number): Promise<DuePage<Row>> {
    this.reads++;
    this.mostAsked = Math.max(this.mostAsked, limit);
    return this.#answer(() => {
      const byTime = this.all().sort((a, b) => a.nextTryMs - b.nextTryMs || a.id - b.id);
      const later = byTime.find(({ nextTryMs }) => nextTryMs > nowMs);
      const items = byTime.filter(({ nextTryMs }) => nextTryMs <= nowMs).slice(0, limit);
      return { items, ...(later !== undefined && { nextDueMs: later.nextTryMs }) };
    });
  }

  done(id: number): Promise<void> {
    return this.#answer(() => this.remove(id));
  }

  failed(id: number, nextTryMs: number): Promise<void> {
    return this.#answer(() => {
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
    for (let turns = this.#turns(); turns > 0; turns--) await turn();
  }
}
