import type { OrderEvent, OrderEventType } from "../../../orders/order-event.ts";
import type { DuePage } from "../../../resilience/retry-queue.ts";
import { eventPayload } from "../../rules/event-payload.ts";
import type { OutboxTable } from "../../rules/tables.ts";
import { AGAIN_MS } from "./batch-compensations.ts";

/** An event as it is written. */
export interface NewEvent {
  readonly id: string;
  readonly orderId: string;
  readonly payload: string;
  readonly createdMs: number;
}

/** What a batch does with events and dead letters. */
export class BatchOutbox implements OutboxTable {
  readonly isEnabled: boolean;
  readonly added: NewEvent[] = [];
  readonly postponed: [seq: number, nextTryMs: number][] = [];
  readonly removed: number[] = [];
  readonly givenUp: [seq: number, reason: string, nowMs: number][] = [];
  readonly putBack: [seq: number, nowMs: number][] = [];
  readonly taken: number[] = [];
  /** What the server said is due. */
  page: DuePage<OrderEvent> = { items: [] };
  /** The oldest, whose time may be over. */
  oldest: readonly (readonly [seq: number, expiresMs: number])[] = [];
  /** Orders of dead letters. */
  readonly letters = new Map<number, string>();
  expired = 0;

  constructor(enabled: boolean) {
    this.isEnabled = enabled;
  }

  add(type: OrderEventType, orderId: string, amount: number, attempt: number, error: string | null, nowMs: number): void {
    if (!this.isEnabled) return;
    const payload = eventPayload(type, orderId, amount, attempt, error, nowMs);
    this.added.push({ id: `evt_${crypto.randomUUID()}`, orderId, payload, createdMs: nowMs });
  }

  due(nowMs: number): DuePage<OrderEvent> {
    const { items } = this.page;
    this.taken.push(...items.map(({ seq }) => seq));
    // What this batch adds was not there when the page was read.
    return this.added.length > 0 ? { items, nextDueMs: nowMs + AGAIN_MS } : this.page;
  }

  failed(seq: number, nextTryMs: number): void {
    this.postponed.push([seq, nextTryMs]);
  }

  remove(seq: number): void {
    this.removed.push(seq);
  }

  giveUp(seq: number, reason: string, nowMs: number): void {
    this.givenUp.push([seq, reason, nowMs]);
  }

  giveUpExpired(expiredMs: number, reason: string, nowMs: number): number {
    const expired = this.oldest.filter(([, expiresMs]) => expiresMs <= expiredMs);
    for (const [seq] of expired) this.giveUp(seq, reason, nowMs);
    return expired.length;
  }

  redeliver(seq: number, nowMs: number): string | undefined {
    const orderId = this.letters.get(seq);
    if (orderId === undefined) return undefined;
    this.letters.delete(seq);
    this.putBack.push([seq, nowMs]);
    return orderId;
  }

  expireDeadLetters(): number {
    return this.expired;
  }
}
