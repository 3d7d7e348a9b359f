import type { Backlog, OperatorJournal } from "../../orders/operator-journal.ts";
import { JournalUnavailable, type OrderRecord } from "../../orders/order-journal.ts";
import type { EngineJournal } from "../engine.ts";
import { EngineUnreachable } from "./engine-client.ts";
import type { Ingress } from "./ingress.ts";
import { type KnownOrder, recordOf } from "./known-order.ts";
import { type KnownRequest, OBJECTS } from "./objects.ts";

const LOOK_UP_TIMEOUT_MS = 900;

/** What is known of orders, asked of the engine. */
export class RestateJournal implements EngineJournal {
  readonly #ingress: Ingress;

  constructor(ingress: Ingress) {
    this.#ingress = ingress;
  }

  async find(orderId: string, before?: number): Promise<OrderRecord | undefined> {
    const body: KnownRequest = before === undefined ? {} : { before };
    try {
      const known = await this.#ingress.call<KnownOrder | null>({
        object: OBJECTS.order,
        key: orderId,
        handler: "known",
        body,
        timeoutMs: LOOK_UP_TIMEOUT_MS,
      });
      return known === null ? undefined : recordOf(orderId, known);
    } catch (error) {
      throw error instanceof EngineUnreachable ? new JournalUnavailable(error.message) : error;
    }
  }

  async orders(): ReturnType<OperatorJournal["orders"]> {
    return { items: [] };
  }

  async compensations(): ReturnType<OperatorJournal["compensations"]> {
    return { items: [] };
  }

  async compensation(): ReturnType<OperatorJournal["compensation"]> {
    return undefined;
  }

  async settleCompensation(): ReturnType<OperatorJournal["settleCompensation"]> {
    return undefined;
  }

  async deadLetters(): ReturnType<OperatorJournal["deadLetters"]> {
    return { items: [] };
  }

  async redeliver(): Promise<boolean> {
    return false;
  }

  async backlog(): Promise<Backlog> {
    const none = { count: 0 };
    return { compensations: { payment: none, vendor: none, courier: none }, events: none, deadLetters: 0, bytes: 0 };
  }

  async backup(): ReturnType<OperatorJournal["backup"]> {
    throw new JournalUnavailable("the engine makes its own snapshots");
  }
}
