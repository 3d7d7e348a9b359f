import type { AnswerBody } from "../../../src/orders/answer.ts";
import { STEPS } from "../../../src/orders/steps.ts";
import type { Tables } from "../tables/tables.ts";

/** Closes up to `limit` attempts that nobody runs any more: failed, with every step to be compensated. Returns how many. */
export function closeInterrupted(tables: Tables, limit: number, nowMs: number): number {
  const open = tables.open.some(limit);
  for (const [orderId, attempt, amount, acceptedMs] of open) {
    const id = tables.attempts.add(orderId, attempt, amount, acceptedMs, nowMs, "internal", true, JSON.stringify(answerOf(orderId)));
    tables.open.take(orderId);
    for (const step of STEPS) tables.compensations.add(id, step, 0, nowMs, null, nowMs);
    tables.outbox.add("order.failed", orderId, amount, attempt, "internal", nowMs);
  }
  return open.length;
}

function answerOf(orderId: string): AnswerBody {
  return {
    status: "error",
    order_id: orderId,
    steps: STEPS.map((name) => ({ name, status: "error", duration_ms: 0, detail: "internal" })),
    error: { kind: "internal", message: "order failed" },
  };
}
