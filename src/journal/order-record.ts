import type { AnswerBody } from "../orders/answer.ts";
import type { OrderRecord, StoredAttempt } from "../orders/order-journal.ts";
import type { FoundAttempt, FoundOrder } from "./protocol.ts";

/** An order as its rows have it, for those who look it up. */
export function recordOf({ orderId, attemptsTotal, latest, attempts }: FoundOrder): OrderRecord {
  return { orderId, amount: latest.amount, attemptsTotal, latest: attemptOf(latest), attempts: attempts.map(attemptOf) };
}

function attemptOf({ ended, ...attempt }: FoundAttempt): StoredAttempt {
  if (ended === undefined) return attempt;
  const { atMs, json, interrupted } = ended;
  return { ...attempt, ended: { atMs, answer: JSON.parse(json) as AnswerBody, interrupted } };
}
