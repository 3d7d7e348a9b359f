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
    return row;
  }

  get size(): number {
    return this.#rows.size;
  }

  /** How many events were handed out, and nothing was said of since. */
  get outstanding(): number {
    return this.#outstanding.size;
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
      const heads = this.#heads().sort((a, b) => (leastTried ? a.tries - b.tries : 0) || a.nextTryMs - b.nextTryMs || a.seq - b.seq);
      const isDue = (row: Row) => row.nextTryMs <= nowMs;
      const items = heads
        .filter((row) => isDue(row) && !underWay.includes(row.seq))
        .slice(0, limit)
        .map(({ nextTryMs: _, ...event }) => event);
      for (const { seq } of items) this.#outstanding.add(seq);
      this.mostOutstanding = Math.max(this.mostOutstanding, this.#outstanding.size);
      const later = heads.filter((row) => !isDue(row)).map(({ nextTryMs }) => nextTryMs);
      return { items, ...(later.length > 0 && { nextDueMs: Math.min(...later) }) };
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
      row.tries++;
      row.nextTryMs = nextTryMs;
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
    if (!this.#heads().includes(row)) throw new Error(`event ${seq} is not the first of its order`);
    this.#rows.delete(seq);
    const next = this.#heads().find(({ orderId }) => orderId === row.orderId);
    if (next !== undefined) next.nextTryMs = nowMs;
    return true;
  }

  /** The first of each order. */
  #heads(): Row[] {
    const heads = new Map<string, Row>();
    for (const row of this.#rows.values()) if (!heads.has(row.orderId)) heads.set(row.orderId, row);
    return [...heads.values()];
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
