import type { Call } from "../stand-in/call.ts";
import type { KnownOrder } from "./known-order.ts";
import type { World } from "./world.ts";

/** The attempt and the order that a call is for. */
export function known(world: World, { body, action, key }: Call): { attempt: number; order: KnownOrder } {
  const called = action === "perform" ? key : (body.undoes ?? "");
  const order = world.orders.get(body.order_id);
  if (order !== undefined) {
    if (body.amount !== undefined && !order.amounts.has(body.amount))
      world.violation(`a provider was called for an amount that nobody asked for: ${body.amount}`, order);
    return { attempt: Number(called.split(":").at(-2)), order };
  }
  const unknown = world.orders.known(body.order_id, body.amount ?? 0);
  world.violation("a provider was called for an order that nobody asked for", unknown);
  return { attempt: 0, order: unknown };
}
