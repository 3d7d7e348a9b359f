import type { OperatorAction, OperatorActionName } from "../../orders/operator-journal.ts";
import type { ActionsTable } from "../rules/tables.ts";

/** What operators did, and who. */
export class MemoryActions implements ActionsTable {
  readonly #byOrder = new Map<string, OperatorAction[]>();
  #ofNoOrder: number[] = [];

  add(atMs: number, actor: string, action: OperatorActionName, orderId: string | null, detail: string | null): void {
    if (orderId === null) {
      this.#ofNoOrder.push(atMs);
      return;
    }
    const all = this.#byOrder.get(orderId) ?? [];
    all.push({ atMs, actor, action, ...(detail !== null && { detail }) });
    this.#byOrder.set(orderId, all);
  }

  of(orderId: string, limit: number): OperatorAction[] {
    return (this.#byOrder.get(orderId) ?? []).slice(-limit);
  }

  removeOf(orderId: string): void {
    this.#byOrder.delete(orderId);
  }

  expire(beforeMs: number, limit: number): number {
    const old = this.#ofNoOrder
      .filter((atMs) => atMs < beforeMs)
      .sort((a, b) => a - b)
      .slice(0, limit);
    this.#ofNoOrder = this.#ofNoOrder.filter((atMs) => !old.includes(atMs));
    return old.length;
  }
}
