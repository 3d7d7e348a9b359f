import { answerTo } from "../../orders/answer.ts";
import { failedByFault } from "../../orders/outcome.ts";
import { STEPS } from "../../orders/steps.ts";
import type { Tables } from "./tables.ts";

/** Closes up to `limit` attempts that nobody runs any more: failed, all steps to be compensated from `dueMs` on. Returns how many. */
export function closeInterrupted(tables: Tables, limit: number, nowMs: number, dueMs: number): number {
  tables.compensations.interrupt(nowMs);
  return closeOpen(tables, limit, nowMs, 1, "pending", dueMs, (orderId, amount, attempt) =>
    tables.outbox.add("order.failed", orderId, amount, attempt, "internal", nowMs),
  );
}

/** Closes open attempts as failed. Of one that had ended only the answer was missing, and nobody will get it. Returns how many. */
export function closeOpen(
  tables: Tables,
  limit: number,
  nowMs: number,
  interrupted: 1 | 2,
  compensations: "pending" | "held",
  dueMs: number,
  tell?: (orderId: string, amount: number, attempt: number) => void,
): number {
  const open = tables.open.some(limit);
  // The answer has no times, only durations, and these are 0.
  const outcome = failedByFault("unknown", 0);
  for (const [orderId, attempt, amount, acceptedMs] of open) {
    tables.open.remove(orderId);
    if (tables.attempts.one(orderId, attempt) !== undefined) continue;
    const json = JSON.stringify(answerTo(orderId, outcome, []));
    const id = tables.attempts.add(orderId, attempt, amount, acceptedMs, nowMs, "internal", interrupted, 0, json);
    for (const step of STEPS) tables.compensations.add(id, step, compensations, dueMs);
    tell?.(orderId, amount, attempt);
  }
  return open.length;
}
