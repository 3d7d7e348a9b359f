import type { OperatorAction, OperatorActionName } from "../../orders/operator-journal.ts";
import type { ActionsTable, HeldTable, KeysTable, KnownKey, RestoresTable, Tables } from "../rules/tables.ts";
import { MemoryAttempts, retiredOrders } from "./attempts.ts";
import { MemoryCompensations } from "./compensations.ts";
import { MemoryOutbox } from "./outbox.ts";

/** The tables of a journal in memory: plain maps. */
export class MemoryTables implements Tables {
  readonly attempts = new MemoryAttempts();
  readonly open = this.attempts.open;
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

/** What operators did, and who. */
export class MemoryActions implements ActionsTable {
  readonly #byOrder = new Map<string, OperatorAction[]>();
  readonly #ofNoOrder: number[] = [];

  add(atMs: number, actor: string, action: OperatorActionName, orderId: string | null, detail: string | null): void {
    if (orderId === null) {
      this.#ofNoOrder.push(atMs);
      return;
    }
    const all = this.#byOrder.get(orderId) ?? [];
    all.push({ atMs, actor, action, ...(detail !== null && { detail }) });
    this.#byOrder.set(orderId, all);
  }

  /** The newest of an order, oldest first. */
  of(orderId: string, limit: number): OperatorAction[] {
    return (this.#byOrder.get(orderId) ?? []).slice(-limit);
  }

  removeOf(orderId: string): void {
    this.#byOrder.delete(orderId);
  }

  expire(beforeMs: number, limit: number): number {
    this.#ofNoOrder.sort((a, b) => a - b);
    const old = this.#ofNoOrder.filter((atMs) => atMs < beforeMs).length;
    return this.#ofNoOrder.splice(0, Math.min(old, limit)).length;
  }
}

interface Key {
  readonly known: KnownKey;
  readonly expiresMs: number;
}

/** Which attempt a client's key belongs to. */
export class MemoryKeys implements KeysTable {
  readonly #keys = new Map<string, Key>();

  get(client: string, key: string): KnownKey | undefined {
    return this.#keys.get(nameOf(client, key))?.known;
  }

  put(client: string, key: string, bodyHash: string, expiresMs: number, orderId: string, attempt: number): void {
    this.#keys.set(nameOf(client, key), { known: [bodyHash, orderId, attempt], expiresMs });
  }

  expire(nowMs: number, limit: number): number {
    let expired = 0;
    for (const [name, { expiresMs }] of this.#keys) {
      if (expired === limit) break;
      if (expiresMs > nowMs) continue;
      this.#keys.delete(name);
      expired++;
    }
    return expired;
  }
}

/** A key has no spaces, so a client's name of any kind can stand behind it. */
export function nameOf(client: string, key: string): string {
  return `${key} ${client}`;
}
