import type { DatabaseSync } from "node:sqlite";
import type { Tables } from "../../../src/journal/rules/tables.ts";
import { attempts } from "./attempts.ts";
import { compensations } from "./compensations.ts";
import { heldCompensations } from "./held.ts";
import { idempotencyKeys } from "./idempotency-keys.ts";
import { openAttempts } from "./open-attempts.ts";
import { operatorActions } from "./operator-actions.ts";
import { outbox } from "./outbox.ts";
import { type Restores, restoresOf } from "./restores.ts";
import { retiredOrders } from "./retired-orders.ts";

export interface SqliteTables extends Tables {
  readonly restores: Restores;
}

/** Every table with its statements, prepared once for the life of the thread. */
export function tablesOf(db: DatabaseSync, events: boolean): SqliteTables {
  const restores = restoresOf(db);
  return {
    open: openAttempts(db),
    attempts: attempts(db, restores.firstIds[0] ?? 0),
    retired: retiredOrders(db),
    keys: idempotencyKeys(db),
    compensations: compensations(db),
    held: heldCompensations(db),
    restores,
    outbox: outbox(db, events),
    actions: operatorActions(db),
  };
}
