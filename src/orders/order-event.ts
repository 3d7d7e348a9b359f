/** A row of the outbox on its way to the webhook receiver. */
export interface OrderEvent {
  /** Grows with every event, so it is also the order in which events of one order are delivered. */
  readonly seq: number;
  /** `webhook-id`: the same on every try. */
  readonly id: string;
  readonly orderId: string;
  /** The body as it is signed and sent: `{"type","timestamp","data"}` after Standard Webhooks. */
  readonly payload: string;
  readonly createdMs: number;
}

export type OrderEventType = "order.placed" | "order.failed" | "order.compensated";

/** What delivery needs from the journal. Resolves when durable, rejects with `JournalUnavailable`. */
export interface EventOutbox {
  /** Undelivered events with a `seq` above this one, lowest first. */
  undelivered(afterSeq: number, limit: number): Promise<OrderEvent[]>;
  /** Delivered: takes them out. */
  delivered(seqs: readonly number[]): Promise<void>;
  /** Gives up on an event: it moves to the dead letters with the reason of its last failure. */
  giveUp(seq: number, reason: string, nowMs: number): Promise<void>;
}
