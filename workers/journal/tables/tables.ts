import type { DatabaseSync } from "node:sqlite";
import type { Tables } from "../../../src/journal/rules/tables.ts";
import { Attempts } from "./attempts.ts";
import { Compensations } from "./compensations.ts";
import { Held } from "./held.ts";
import { IdempotencyKeys } from "./idempotency-keys.ts";
import { OpenAttempts } from "./open-attempts.ts";
import { OperatorActions } from "./operator-actions.ts";
import { Outbox } from "./outbox.ts";
import { Restores } from "./restores.ts";
import { RetiredOrders } from "./retired-orders.ts";

/** Every table with its statements, prepared once for the life of the thread. */
export interface SqliteTables extends Tables {
  readonly open: OpenAttempts;
  readonly attempts: Attempts;
  readonly retired: RetiredOrders;
  readonly keys: IdempotencyKeys;
  readonly compensations: Compensations;
  readonly held: Held;
  readonly restores: Restores;
  readonly outbox: Outbox;
  readonly actions: OperatorActions;
}

export function tablesOf(db: DatabaseSync, events: boolean): SqliteTables {
  const restores = new Restores(db);
  return {
    open: new OpenAttempts(db),
    attempts: new Attempts(db, restores.firstId),
    retired: new RetiredOrders(db),
    keys: new IdempotencyKeys(db),
    compensations: new Compensations(db),
    held: new Held(db),
    restores,
    outbox: new Outbox(db, events),
    actions: new OperatorActions(db),
  };
}
