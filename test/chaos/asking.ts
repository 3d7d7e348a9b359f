import { type Received, type Sending, send } from "../support/http-client.ts";

/** What a client keeps of one request for an order that was answered. */
export interface Answered {
  readonly orderId: string;
  readonly amount: number;
  readonly key?: string;
  readonly status: number;
  readonly text: string;
}

/** Statuses of requests that were refused before any step ran, of which nothing is kept. */
const REFUSED = new Set([409, 422]);

export function ranToAnEnd({ status, text }: Answered): boolean {
  return !REFUSED.has(status) && text.includes('"steps"');
}

/** Places an order; undefined when the connection broke or the client hung up. */
export async function ask(
  port: number,
  order: { readonly orderId: string; readonly amount: number; readonly key?: string },
  more: Sending = {},
): Promise<Answered | undefined> {
  const headers = order.key === undefined ? {} : { "idempotency-key": order.key };
  let received: Received;
  try {
    received = await send(port, {
      method: "POST",
      path: "/order",
      headers,
      body: { order_id: order.orderId, amount: order.amount },
      ...more,
    });
  } catch {
    return undefined;
  }
  return { ...order, status: received.status, text: received.text };
}
