import type autocannon from "autocannon";

/** `writeOrders` by the `setupRequest` of autocannon. */
export function writeOrders(
  _url: string,
  order: Readonly<Record<string, unknown>>,
  nextId: () => string,
): (client: autocannon.Client) => void {
  const request = {
    method: "POST" as const,
    headers: { "Content-Type": "application/json" },
    setupRequest: (next: autocannon.Request): autocannon.Request => ({ ...next, body: JSON.stringify({ order_id: nextId(), ...order }) }),
  };
  return (client) => client.setRequests([request]);
}
