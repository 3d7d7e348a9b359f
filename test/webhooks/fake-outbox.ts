import { setImmediate as turn } from "node:timers/promises";
import { EVENT_KEPT_MS } from "../../src/journal/rules/event-payload.ts";
import type { EventOutbox, OrderEvent } from "../../src/orders/order-event.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import type { DuePage, DueRequest } from "../../src/resilience/retry-queue.ts";

interface Row extends OrderEvent {
  tries: number;
  nextTryMs: number;
}

/** An outbox in memory that outlives the deliveries that read it. Answers a turn of the event loop later, like a thread would. */
export class FakeOutbox implements EventOutbox {
  readonly events: OrderEvent[] = [];
  readonly dead = new Map<number, { reason: string; atMs: number }>();
  readonly delivered: number[] = [];
  /** Says no to every call while it is set. */
  unavailable = false;
  /** Calls under way. */
  busy = 0;
  reads = 0;
  /** The most events that one read asked for, and whether all reads wanted the one tried least. */
  mostAsked = 0;
  onlyLeastTried = true;
  mostGivenUpAtOnce = 0;
  /** The most events that were handed out and that nothing was said of since. */
  mostOutstanding = 0;
  #outstanding = new Set<number>();
  /** By `seq`, which is also their age. */
  readonly #rows = new Map<number, Row>();
  readonly #ofOrder = new Map<string, Row[]>();
  /** The first of each order, by the time of its next try. */
  readonly #heads: Row[] = [];

  add(orderId: string, createdMs: number): OrderEvent {
    const seq = this.events.length + 1;
    const payload = JSON.stringify({
      type: "order.placed",
      timestamp: new Date(createdMs).toISOString(),
      data: { order_id: orderId, seq },
    });
    const expiresMs = createdMs + EVENT_KEPT_MS;
    const row: Row = { seq, id: `evt_${seq}`, orderId, payload, createdMs, expiresMs, tries: 0, nextTryMs: createdMs };
    this.events.push(row);
    this.#rows.set(seq, row);
    const ofOrder = this.#ofOrder.get(orderId);
    if (ofOrder !== undefined) {
      ofOrder.push(row);
    } else {
      this.#ofOrder.set(orderId, [row]);
      this.#addHead(row);
    }
    return row;
  }

  get size(): number {
    return this.#rows.size;
  }

  /** As after a crash: nothing is handed out. */
  restart(): void {
    this.#outstanding.clear();
  }

  takeEvents({ nowMs, limit, leastTried, underWay }: DueRequest): Promise<DuePage<OrderEvent>> {
    return this.#answer(() => {
      this.reads++;
      this.mostAsked = Math.max(this.mostAsked, limit);
      this.onlyLeastTried &&= leastTried;
      const due = this.#headIndex(nowMs, Number.POSITIVE_INFINITY);
      const candidates = leastTried ? this.#heads.slice(0, due).sort((a, b) => a.tries - b.tries) : this.#heads;
      const items: OrderEvent[] = [];
      for (let index = 0; index < due && items.length < limit; index++) {
        const { nextTryMs: _, ...event } = candidates[index] as Row;
        if (!underWay.includes(event.seq)) items.push(event);
      }
      for (const { seq } of items) this.#outstanding.add(seq);
      this.mostOutstanding = Math.max(this.mostOutstanding, this.#outstanding.size);
      const next = this.#heads[due];
      return { items, ...(next !== undefined && { nextDueMs: next.nextTryMs }) };
    });
  }

  eventDelivered(seq: number, nowMs: number): Promise<void> {
    return this.#answer(() => {
      this.delivered.push(seq);
      this.#takeOut(seq, nowMs);
    });
  }

  eventFailed(seq: number, nextTryMs: number): Promise<void> {
    return this.#answer(() => {
      this.#outstanding.delete(seq);
      const row = this.#rows.get(seq);
      if (row === undefined) return;
      this.#removeHead(row);
      row.tries++;
      row.nextTryMs = nextTryMs;
      this.#addHead(row);
    });
  }

  giveUpEvent(seq: number, reason: string, nowMs: number): Promise<void> {
    return this.#answer(() => this.#giveUp(seq, reason, nowMs));
  }

  giveUpExpired(expiredMs: number, reason: string, nowMs: number, limit: number): Promise<number> {
    return this.#answer(() => {
      const expired = this.#rows
        .values()
        .filter(({ expiresMs }) => expiresMs <= expiredMs)
        .take(limit)
        .toArray();
      for (const { seq } of expired) this.#giveUp(seq, reason, nowMs);
      this.mostGivenUpAtOnce = Math.max(this.mostGivenUpAtOnce, expired.length);
      return expired.length;
    });
  }

  #giveUp(seq: number, reason: string, nowMs: number): void {
    if (this.#takeOut(seq, nowMs)) this.dead.set(seq, { reason, atMs: nowMs });
  }

  #takeOut(seq: number, nowMs: number): boolean {
    this.#outstanding.delete(seq);
    const row = this.#rows.get(seq);
    if (row === undefined) return false;
    const ofOrder = this.#ofOrder.get(row.orderId) ?? [];
    if (ofOrder[0] !== row) throw new Error(`event ${seq} is not the first of its order`);
    this.#rows.delete(seq);
    this.#removeHead(row);
    ofOrder.shift();
    const [next] = ofOrder;
    if (next === undefined) {
      this.#ofOrder.delete(row.orderId);
    } else {
      next.nextTryMs = nowMs;
      this.#addHead(next);
    }
    return true;
  }

  #addHead(row: Row): void {
    this.#heads.splice(this.#headIndex(row.nextTryMs, row.seq), 0, row);
  }

  #removeHead(row: Row): void {
    const [removed] = this.#heads.splice(this.#headIndex(row.nextTryMs, row.seq - 1), 1);
    if (removed !== row) throw new Error(`event ${row.seq} is not where it should be`);
  }

  /** How many of the first events are not behind that time and `seq`. */
  #headIndex(nextTryMs: number, seq: number): number {
    let low = 0;
    for (let high = this.#heads.length; low < high; ) {
      const middle = (low + high) >> 1;
      const row = this.#heads[middle] as Row;
      if (row.nextTryMs < nextTryMs || (row.nextTryMs === nextTryMs && row.seq <= seq)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  async #answer<T>(act: () => T): Promise<T> {
    this.busy++;
    try {
      await turn();
      if (this.unavailable) throw new JournalUnavailable("disk full");
      const value = act();
      // Now it is so, and the caller does not know yet: whatever races with an answer does it here.
      await turn();
      return value;
    } finally {
      this.busy--;
    }
  }
}
