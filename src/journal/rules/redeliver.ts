import type { Tables } from "./tables.ts";

/** Puts a dead letter back, behind all events of its order. Returns whether there was one. */
export function redeliver(tables: Tables, seq: number, nowMs: number, actor: string): boolean {
  const orderId = tables.outbox.redeliver(seq, nowMs);
  if (orderId === undefined) return false;
  const isKnown = tables.attempts.latest(orderId) !== undefined || tables.open.get(orderId) !== undefined;
  const event = `event ${seq}`;
  if (isKnown) tables.actions.add(nowMs, actor, "redeliver", orderId, event);
  else tables.actions.add(nowMs, actor, "redeliver", null, `${event} of the order ${JSON.stringify(orderId)}, which is deleted`);
  return true;
}
