import type { DuePage, DueRequest } from "../resilience/retry-queue.ts";

/** A row of the outbox on its way to the webhook receiver. */
export interface OrderEvent {
  /** Grows with every event, so it is also the order in which events of one order are delivered. */
  readonly seq: number;
  /** `webhook-id`: the same on every try. */
  readonly id: string;
  readonly orderId: string;
  /** The body as it is signed and sent: `{"type","timestamp","data"}` after Standard Webhooks. */
  readonly payload: string;
  /** Wall clock. */
  readonly createdMs: number;
  /** Wall clock. A try that fails after this is the last one. */
  readonly expiresMs: number;
  readonly tries: number;
}

export type OrderEventType = "order.placed" | "order.failed" | "order.compensated";

/** What delivery needs from the journal, with the promises of `OrderJournal`. For a `seq` that is not in the outbox nothing happens. */
export interface EventOutbox {
  /** The first undelivered event of each order where its next try is due. It sees all that was stored before it was asked. */
  takeEvents(request: DueRequest): Promise<DuePage<OrderEvent>>;
  /** Takes it out; the next event of its order, if any, is due from now on. */
  eventDelivered(seq: number, nowMs: number): Promise<void>;
  /** Counts the try and puts the next one off. */
  eventFailed(seq: number, nextTryMs: number): Promise<void>;
  /** Moves it to the dead letters; the next event of its order is due from now on. */
  giveUpEvent(seq: number, reason: string, nowMs: number): Promise<void>;
  /** The same for up to `limit` of the oldest events with `expiresMs` <= `expiredMs`. Returns how many. */
  giveUpExpired(expiredMs: number, reason: string, nowMs: number, limit: number): Promise<number>;
}
