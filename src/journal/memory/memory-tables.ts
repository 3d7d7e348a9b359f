import type { HeldTable, RestoresTable, Tables } from "../rules/tables.ts";
import { MemoryActions } from "./actions.ts";
import { MemoryAttempts, MemoryOpenAttempts, retiredOrders } from "./attempts.ts";
import { MemoryCompensations } from "./compensations.ts";
import { MemoryKeys } from "./keys.ts";
import { MemoryOutbox } from "./outbox.ts";

/** The tables of a journal in memory: plain maps. */
export class MemoryTables implements Tables {
  readonly open = new MemoryOpenAttempts();
  readonly attempts = new MemoryAttempts();
  readonly retired = retiredOrders();
  readonly keys = new MemoryKeys();
  readonly compensations = new MemoryCompensations(this.attempts);
  readonly actions = new MemoryActions();
  readonly outbox: MemoryOutbox;
  // A journal in memory is never made of a backup.
  readonly held: HeldTable = { isAny: () => false, attempts: () => [], attemptsAt: () => [], confirm: () => 0 };
  readonly restores: RestoresTable = { firstIds: [] };

  /** `events`: whether outcomes leave events in the outbox. */
  constructor(events: boolean) {
    this.outbox = new MemoryOutbox(events);
  }
}
