import type { OrderEventType } from "../../orders/order-event.ts";

/** How long delivery is tried. After that an event becomes a dead letter. */
export const EVENT_KEPT_MS = 24 * 60 * 60 * 1000;

/** An event as it is written. */
export interface NewEvent {
  readonly id: string;
  readonly orderId: string;
  /** The body as it is signed and sent. */
  readonly payload: string;
  readonly createdMs: number;
}

/** `error`: null for a placed order. */
export function newEvent(
  type: OrderEventType,
  orderId: string,
  amount: number,
  attempt: number,
  error: string | null,
  nowMs: number,
): NewEvent {
  const data = { order_id: orderId, amount, attempt, ...(error !== null && { error }) };
  const payload = JSON.stringify({ type, timestamp: new Date(nowMs).toISOString(), data });
  // The global `crypto` is loaded with the first event: its module takes 4 MB, for nothing where there are no events.
  return { id: `evt_${crypto.randomUUID()}`, orderId, payload, createdMs: nowMs };
}
