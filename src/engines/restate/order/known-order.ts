import type { ObjectSharedContext } from "@restatedev/restate-sdk";
import type { AnswerBody } from "../../../orders/answer.ts";
import { ATTEMPTS_SHOWN, type AttemptRecord, type OrderRecord } from "../../../orders/order-journal.ts";
import { type AttemptState, attemptState, HEAD, type KnownRequest, type OrderHead } from "../objects.ts";

/** What `Order.known` gives. */
export interface KnownOrder {
  readonly head: OrderHead;
  /** Oldest first. */
  readonly attempts: readonly AttemptState[];
}

/** Reads the newest attempts, or those before one. Null where there is no order. */
export async function knownOrder(context: ObjectSharedContext, { before }: KnownRequest): Promise<KnownOrder | null> {
  const head = await context.get<OrderHead>(HEAD);
  if (head === null) return null;
  const last = Math.min(head.attempts, (before ?? Number.POSITIVE_INFINITY) - 1);
  const attempts: AttemptState[] = [];
  for (let number = Math.max(1, last - ATTEMPTS_SHOWN + 1); number <= last; number++) {
    const state = number === head.attempts ? head.latest : await context.get<AttemptState>(attemptState(number));
    if (state !== null) attempts.push(state);
  }
  return { head, attempts };
}

/** The order as clients see it. */
export function recordOf(orderId: string, { head, attempts }: KnownOrder): OrderRecord {
  const latest = attemptRecord(head.latest);
  return { orderId, amount: latest.amount, attemptsTotal: head.attempts, latest, attempts: attempts.map(attemptRecord) };
}

function attemptRecord({ attempt, amount, acceptedMs, ended }: AttemptState): AttemptRecord {
  if (ended === undefined) return { attempt, amount, acceptedMs, compensations: [] };
  const { atMs, answer, interrupted = false, compensations } = ended;
  return {
    attempt,
    amount,
    acceptedMs,
    ended: { atMs, answer: JSON.parse(answer.json) as AnswerBody, interrupted },
    compensations,
  };
}
