import type { FinishOperation, Results } from "../protocol.ts";
import type { Tables } from "../tables/tables.ts";
import { storedAnswer } from "./stored-answer.ts";

/** Closes an open attempt with its answer, its undo tasks and its events. One that is closed already stays as it is. */
export function finish(tables: Tables, [, orderId, attempt, error, json, nowMs, undos]: FinishOperation): Results["finish"] {
  const open = tables.open.get(orderId);
  if (open === undefined || open[0] !== attempt) {
    const ended = tables.attempts.one(orderId, attempt);
    if (ended === undefined) throw new Error(`attempt ${attempt} at order ${JSON.stringify(orderId)} was never accepted`);
    return storedAnswer(ended);
  }
  const [, amount, acceptedMs] = open;
  const id = tables.attempts.add(orderId, attempt, amount, acceptedMs, nowMs, error, false, json);
  tables.open.remove(orderId);
  tables.outbox.add(error === null ? "order.placed" : "order.failed", orderId, amount, attempt, error, nowMs);
  if (undos === null) return null;
  for (const { step, tries, done } of undos) tables.undos.add(id, step, tries, done ? nowMs : null);
  if (undos.every(({ done }) => done)) tables.outbox.add("order.compensated", orderId, amount, attempt, error, nowMs);
  return null;
}
