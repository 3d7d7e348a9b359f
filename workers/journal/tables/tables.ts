import type { DatabaseSync } from "node:sqlite";
import { Attempts } from "./attempts.ts";
import { IdempotencyKeys } from "./idempotency-keys.ts";
import { OpenAttempts } from "./open-attempts.ts";
import { Outbox } from "./outbox.ts";
import { Probes } from "./probes.ts";
import { UndoTasks } from "./undo-tasks.ts";

/** Every table with its statements, prepared once for the life of the thread. */
export interface Tables {
  readonly open: OpenAttempts;
  readonly attempts: Attempts;
  readonly keys: IdempotencyKeys;
  readonly undos: UndoTasks;
  readonly outbox: Outbox;
  readonly probes: Probes;
}

export function tablesOf(db: DatabaseSync, events: boolean): Tables {
  return {
    open: new OpenAttempts(db),
    attempts: new Attempts(db),
    keys: new IdempotencyKeys(db),
    undos: new UndoTasks(db),
    outbox: new Outbox(db, events),
    probes: new Probes(db),
  };
}
