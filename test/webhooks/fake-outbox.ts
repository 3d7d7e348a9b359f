import { setImmediate as turn } from "node:timers/promises";
import type { EventOutbox, OrderEvent } from "../../src/orders/order-event.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";

/** An outbox in memory that outlives the deliveries that read it. Answers a turn of the event loop later, like a thread would. */
export class FakeOutbox implements EventOutbox {
  readonly events: OrderEvent[] = [];
  readonly dead = new Map<number, { reason: string; atMs: number }>();
  readonly deliveredCalls: number[][] = [];
  /** Says no to every call while it is set. */
  unavailable = false;
  /** Calls under way. */
  busy = 0;
  reads = 0;
  /** The most events that were handed out and neither delivered nor given up. */
  mostOutstanding = 0;
  #outstanding = new Set<number>();
  #waiting = new Set<number>();

  add(orderId: string, createdMs: number): OrderEvent {
    const seq = this.events.length + 1;
    const payload = JSON.stringify({
      type: "order.placed",
      timestamp: new Date(createdMs).toISOString(),
      data: { order_id: orderId, seq },
    });
    const event: OrderEvent = { seq, id: `evt_${seq}`, orderId, payload, createdMs };
    this.events.push(event);
    this.#waiting.add(seq);
    return event;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** As after a crash: nothing is handed out. */
  restart(): void {
    this.#outstanding.clear();
  }

  undelivered(afterSeq: number, limit: number): Promise<OrderEvent[]> {
    return this.#answer(() => {
      this.reads++;
      const page: OrderEvent[] = [];
      // Sequence numbers begin at 1 and have no holes, so the event after `afterSeq` is at that index.
      for (let index = afterSeq; index < this.events.length && page.length < limit; index++) {
        const event = this.events[index];
        if (event === undefined || !this.#waiting.has(event.seq)) continue;
        page.push({ ...event });
        this.#outstanding.add(event.seq);
      }
      this.mostOutstanding = Math.max(this.mostOutstanding, this.#outstanding.size);
      return page;
    });
  }

  delivered(seqs: readonly number[]): Promise<void> {
    return this.#answer(() => {
      this.deliveredCalls.push([...seqs]);
      for (const seq of seqs) this.#takeOut(seq);
    });
  }

  giveUp(seq: number, reason: string, nowMs: number): Promise<void> {
    return this.#answer(() => {
      this.#takeOut(seq);
      this.dead.set(seq, { reason, atMs: nowMs });
    });
  }

  #takeOut(seq: number): void {
    if (!this.#waiting.delete(seq)) throw new Error(`event ${seq} is not in the outbox`);
    this.#outstanding.delete(seq);
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
