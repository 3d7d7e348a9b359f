import type { UndoTriedOperation } from "../protocol.ts";
import type { Tables } from "../tables/tables.ts";

/** Counts a try of an undo task; the one that leaves none of the attempt to be done makes the order compensated. */
export function undoTried(tables: Tables, [, requestId, orderId, attempt, step, done, nowMs]: UndoTriedOperation): null {
  const ended = tables.attempts.one(orderId, attempt);
  if (ended === undefined) throw new Error(`attempt ${attempt} at order ${JSON.stringify(orderId)} has not ended`);
  const [id, , amount, , , error] = ended;
  const counted = tables.undos.tried(id, step, done ? nowMs : null, requestId);
  if (counted && done && !tables.undos.isAnyPending(id)) tables.outbox.add("order.compensated", orderId, amount, attempt, error, nowMs);
  return null;
}
