import type { OrderEvent } from "../../../orders/order-event.ts";
import type { DuePage } from "../../../resilience/retry-queue.ts";
import { MemoryKeys, nameOf } from "../../memory/memory-tables.ts";
import { type NewEvent, newEvent } from "../../rules/event-payload.ts";
import type { ActionsTable, HeldTable, KnownKey, OutboxTable, RestoresTable, RetiredOrdersTable, Tables } from "../../rules/tables.ts";
import { BatchAttempts } from "./batch-attempts.ts";
import { AGAIN_MS, BatchCompensations } from "./batch-compensations.ts";

/**
 * The tables of the rules for one batch: what was loaded of what its operations name, and what the rules changed, to be written as a whole.
 */
export class BatchTables implements Tables {
  readonly attempts: BatchAttempts;
  readonly open: Tables["open"];
  readonly compensations: BatchCompensations;
  readonly keys = new BatchKeys();
  readonly outbox: BatchOutbox;
  readonly restores: RestoresTable;
  readonly newActions: Parameters<ActionsTable["add"]>[] = [];
  readonly forgottenActions: string[] = [];
  readonly newlyRetired = new Set<string>();
  /** Attempts with something held, as the server said. */
  readonly heldAttempts = new Set<number>();
  /** Those of them that the rules are to confirm, by order; undefined: of any order. */
  readonly toConfirm = new Map<string | undefined, number[]>();
  /** Orders that are retired, as the server said or by this batch, with the number of the last attempt. */
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
      put: (orderId, attempt) => {
        this.retiredAttempts.set(orderId, Math.max(attempt, this.retiredAttempts.get(orderId) ?? 0));
        this.newlyRetired.add(orderId);
      },
    };
  }

  get held(): HeldTable {
    return {
      isAny: (id) => this.heldAttempts.has(id),
      attempts: () => this.toConfirm.get(undefined) ?? [],
      attemptsAt: (orderId) => this.toConfirm.get(orderId) ?? [],
      confirm: (id, nowMs) => this.compensations.confirm(id, nowMs),
    };
  }

  get actions(): ActionsTable {
    return {
      add: (...action) => void this.newActions.push(action),
      removeOf: (orderId) => void this.forgottenActions.push(orderId),
      expire: () => this.expiredActions,
    };
  }
}

/** An idempotency key with the attempt that it belongs to. */
export interface KeyRow {
  readonly client: string;
  readonly key: string;
  readonly bodyHash: string;
  readonly orderId: string;
  readonly attempt: number;
  readonly expiresMs: number;
}

/** What a batch knows of keys, and what it bound. */
export class BatchKeys extends MemoryKeys {
  readonly #stored = new Set<string>();
  readonly #bound = new Map<string, KeyRow>();
  expired = 0;

  load(client: string, key: string, [bodyHash, orderId, attempt]: KnownKey): void {
    super.put(client, key, bodyHash, 0, orderId, attempt);
    this.#stored.add(nameOf(client, key));
  }

  override put(client: string, key: string, bodyHash: string, expiresMs: number, orderId: string, attempt: number): void {
    super.put(client, key, bodyHash, expiresMs, orderId, attempt);
    this.#bound.set(nameOf(client, key), { client, key, bodyHash, orderId, attempt, expiresMs });
  }

  override expire(): number {
    return this.expired;
  }

  /** What was bound, of keys that are stored already (true) or not. In the order in which every node writes them. */
  bound(isStored: boolean): KeyRow[] {
    const names = [...this.#bound.keys()].filter((name) => this.#stored.has(name) === isStored).sort();
    return names.map((name) => this.#bound.get(name) as KeyRow);
  }
}

/** What a batch does with events and dead letters. */
export class BatchOutbox implements OutboxTable {
  readonly isEnabled: boolean;
  readonly added: NewEvent[] = [];
  readonly postponed: [seq: number, nextTryMs: number][] = [];
  readonly removed: number[] = [];
  readonly givenUp: [seq: number, reason: string, nowMs: number][] = [];
  readonly putBack: [seq: number, nowMs: number][] = [];
  readonly taken: number[] = [];
  /** What the server said is due. */
  page: DuePage<OrderEvent> = { items: [] };
  /** What the server said is the oldest. */
  oldestEvents: ReturnType<OutboxTable["oldest"]> = [];
  /** Orders of dead letters. */
  readonly letters = new Map<number, string>();
  expiredDeadLetters = 0;

  constructor(enabled: boolean) {
    this.isEnabled = enabled;
  }

  add(...event: Parameters<OutboxTable["add"]>): void {
    if (this.isEnabled) this.added.push(newEvent(...event));
  }

  due(nowMs: number): DuePage<OrderEvent> {
    const { items } = this.page;
    this.taken.push(...items.map(({ seq }) => seq));
    // What this batch adds was not there when the page was read.
    return this.added.length > 0 ? { items, nextDueMs: nowMs + AGAIN_MS } : this.page;
  }

  failed(seq: number, nextTryMs: number): void {
    this.postponed.push([seq, nextTryMs]);
  }

  remove(seq: number): void {
    this.removed.push(seq);
  }

  giveUp(seq: number, reason: string, nowMs: number): void {
    this.givenUp.push([seq, reason, nowMs]);
  }

  oldest(): ReturnType<OutboxTable["oldest"]> {
    return this.oldestEvents;
  }

  redeliver(seq: number, nowMs: number): string | undefined {
    const orderId = this.letters.get(seq);
    if (orderId === undefined) return undefined;
    this.letters.delete(seq);
    this.putBack.push([seq, nowMs]);
    return orderId;
  }

  expireDeadLetters(): number {
    return this.expiredDeadLetters;
  }
}
