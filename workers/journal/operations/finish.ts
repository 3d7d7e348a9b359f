import type { FinishOperation } from "../../../src/journal/protocol.ts";
import type { Tables } from "../tables/tables.ts";

/** Closes an open attempt with its answer, its compensations and its events. Throws where the attempt is not open, which is a bug. */
export function finish(tables: Tables, [, orderId, attempt, error, json, nowMs, compensations]: FinishOperation): null {
  const open = tables.open.take(orderId);
  if (open?.[0] !== attempt) throw new Error(`attempt ${attempt} at order ${JSON.stringify(orderId)} is not open`);
  const [, amount, acceptedMs] = open;
  const id = tables.attempts.add(orderId, attempt, amount, acceptedMs, nowMs, error, false, json);
  tables.outbox.add(error === null ? "order.placed" : "order.failed", orderId, amount, attempt, error, nowMs);
  if (compensations === null) return null;
  for (const { step, tries, nextTryMs = null, lastAnswer = null } of compensations) {
    tables.compensations.add(id, step, tries, nextTryMs, lastAnswer, nowMs);
  }
  const allDone = compensations.every(({ nextTryMs }) => nextTryMs === undefined);
  if (allDone) tables.outbox.add("order.compensated", orderId, amount, attempt, error, nowMs);
  return null;
}
