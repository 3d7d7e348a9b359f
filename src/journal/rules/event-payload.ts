import type { OrderEventType } from "../../orders/order-event.ts";

/** How long delivery is tried. After that an event becomes a dead letter. */
export const EVENT_KEPT_MS = 24 * 60 * 60 * 1000;

/** The body of an event as it is signed and sent. `error`: null for a placed order. */
export function eventPayload(
  type: OrderEventType,
  orderId: string,
  amount: number,
  attempt: number,
  error: string | null,
  nowMs: number,
): string {
  const data = { order_id: orderId, amount, attempt, ...(error !== null && { error }) };
  return JSON.stringify({ type, timestamp: new Date(nowMs).toISOString(), data });
}
