import type { AnswerBody } from "../../../src/orders/answer.ts";
import type { StepName } from "../../../src/orders/step.ts";
import type { Tables } from "../tables/tables.ts";

// Written so that the compiler misses a step that is forgotten here: it would never be undone.
const STEPS = Object.keys({ payment: true, vendor: true, courier: true } satisfies Record<StepName, true>) as StepName[];
// Nobody knows which of them had begun, let alone in which order they ended.
const UNDOING = STEPS.toReversed();

/** Closes up to `limit` attempts that nobody runs any more: failed, with every step to be undone. Returns how many. */
export function closeInterrupted(tables: Tables, limit: number, nowMs: number): number {
  const orderIds = tables.open.some(limit);
  for (const orderId of orderIds) {
    const open = tables.open.get(orderId);
    if (open === undefined) continue;
    const [attempt, amount, acceptedMs] = open;
    const id = tables.attempts.add(orderId, attempt, amount, acceptedMs, nowMs, "internal", true, JSON.stringify(answerOf(orderId)));
    tables.open.remove(orderId);
    for (const step of UNDOING) tables.undos.add(id, step, 0, null);
    tables.outbox.add("order.failed", orderId, amount, attempt, "internal", nowMs);
  }
  return orderIds.length;
}

function answerOf(orderId: string): AnswerBody {
  return {
    status: "error",
    order_id: orderId,
    steps: STEPS.map((name) => ({ name, status: "error", duration_ms: 0, detail: "internal" })),
    error: { kind: "internal", message: "order failed" },
  };
}
