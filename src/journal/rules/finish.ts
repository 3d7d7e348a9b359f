import type { OperationOf } from "../protocol.ts";
import { compensationTried } from "./compensate.ts";
import type { OpenAttempt, Tables } from "./tables.ts";

/** Stores how an open attempt ended. It stays open to others while an answer has to follow. Returns the ids of its compensations. */
export function finish(
  tables: Tables,
  [, orderId, attempt, error, json, answered, nowMs, compensations]: OperationOf<"finish">,
): readonly number[] | null {
  const [, amount, acceptedMs] = openAttempt(tables, orderId, attempt);
  const id = tables.attempts.add(orderId, attempt, amount, acceptedMs, nowMs, error, 0, answered, json);
  tables.outbox.add(error === null ? "order.placed" : "order.failed", orderId, amount, attempt, error, nowMs);
  if (compensations === null) {
    tables.open.remove(orderId);
    return null;
  }
  return compensations.map(([step, trying]) => tables.compensations.add(id, step, trying ? "trying" : "pending", nowMs));
}

/** Stores the answer of an attempt that has ended, with the first tries of its compensations, and closes it. */
export function answer(tables: Tables, [, orderId, attempt, json, answered, nowMs, tried]: OperationOf<"answer">): null {
  openAttempt(tables, orderId, attempt);
  if (!tables.attempts.answer(orderId, attempt, answered, json)) throw new Error(`${nameOf(orderId, attempt)} has not ended`);
  tables.open.remove(orderId);
  for (const one of tried) compensationTried(tables, one, nowMs);
  return null;
}

function openAttempt(tables: Tables, orderId: string, attempt: number): OpenAttempt {
  const open = tables.open.get(orderId);
  if (open?.[0] !== attempt) throw new Error(`${nameOf(orderId, attempt)} is not open`);
  return open;
}

function nameOf(orderId: string, attempt: number): string {
  return `attempt ${attempt} at order ${JSON.stringify(orderId)}`;
}
