import type { OperatorAction, OperatorActionName } from "../../../orders/operator-journal.ts";
import type { ActionsTable, HeldTable, RestoresTable, RetiredOrdersTable, Tables } from "../../rules/tables.ts";
import { BatchAttempts } from "./batch-attempts.ts";
import { BatchCompensations } from "./batch-compensations.ts";
import { BatchKeys } from "./batch-keys.ts";
import { BatchOutbox } from "./batch-outbox.ts";

export type NewAction = readonly [atMs: number, actor: string, action: OperatorActionName, orderId: string | null, detail: string | null];

/**
 * The tables of the rules for one batch: what was loaded of what its operations name, and what the rules changed. The rules run on it as on any
 * other tables; what they changed is then written as a whole.
 */
export class BatchTables implements Tables {
  readonly attempts: BatchAttempts;
  readonly open: Tables["open"];
  readonly compensations: BatchCompensations;
  readonly keys = new BatchKeys();
  readonly outbox: BatchOutbox;
  readonly restores: RestoresTable;
  readonly newActions: NewAction[] = [];
  readonly forgottenActions: string[] = [];
  readonly newlyRetired = new Map<string, number>();
  /** Attempts with something held, as the server said. */
  readonly heldAttempts = new Set<number>();
  /** Those of them that the rules are to confirm. */
  toConfirm: number[] = [];
  /** Of orders. */
  readonly retiredAttempts = new Map<string, number>();
  expiredActions = 0;
  /** A dead life of which nothing more is open. */
  lifeOver: number | undefined;

  constructor(life: number, events: boolean, restores: RestoresTable) {
    this.attempts = new BatchAttempts(life);
    this.open = this.attempts.open;
    this.compensations = new BatchCompensations(this.attempts);
    this.outbox = new BatchOutbox(events);
    this.restores = restores;
  }

  get retired(): RetiredOrdersTable {
    return {
      isEmpty: this.retiredAttempts.size === 0,
      lastAttempt: (orderId) => this.retiredAttempts.get(orderId) ?? 0,
      put: (orderId, attempt) => void this.newlyRetired.set(orderId, Math.max(attempt, this.newlyRetired.get(orderId) ?? 0)),
    };
  }

  get held(): HeldTable {
    return {
      isAny: (id) => this.heldAttempts.has(id),
      attempts: () => this.toConfirm,
      attemptsAt: () => this.toConfirm,
      confirm: (id, nowMs) => this.compensations.confirm(id, nowMs),
    };
  }

  get actions(): ActionsTable {
    return {
      add: (...action) => void this.newActions.push(action),
      // Only a read shows them.
      of: (): OperatorAction[] => [],
      removeOf: (orderId) => void this.forgottenActions.push(orderId),
      expire: () => this.expiredActions,
    };
  }
}
