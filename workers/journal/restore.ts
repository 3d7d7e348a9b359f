import type { DatabaseSync } from "node:sqlite";
import { CLOSED_BY_RESTORE } from "../../src/journal/rules/tables.ts";
import { answerTo } from "../../src/orders/answer.ts";
import { failedByFault } from "../../src/orders/outcome.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { Restores } from "./tables/restores.ts";
import { tablesOf } from "./tables/tables.ts";

const EVERY_ATTEMPT = 2 ** 31;

/**
 * Makes a journal of a backup, inside the transaction of its opening: nothing of it goes on by itself. What ran when the backup was made may have
 * ended in any way since, so it is closed as failed and all its steps are held, as is whatever was being compensated.
 */
export function restore(db: DatabaseSync, nowMs: number): void {
  new Restores(db).add(nowMs);
  const tables = tablesOf(db, false);
  tables.held.hold();
  const outcome = failedByFault("unknown", 0);
  for (const [orderId, attempt, amount, acceptedMs] of tables.open.some(EVERY_ATTEMPT)) {
    tables.open.remove(orderId);
    // Only the answer of such a one was missing, and nobody will get it.
    if (tables.attempts.one(orderId, attempt) !== undefined) continue;
    const json = JSON.stringify(answerTo(orderId, outcome, []));
    // Without an event: nobody is told that an order failed which perhaps has not.
    const id = tables.attempts.add(orderId, attempt, amount, acceptedMs, nowMs, "internal", CLOSED_BY_RESTORE, 0, json);
    for (const step of STEPS) tables.compensations.add(id, step, "held", nowMs);
  }
}
