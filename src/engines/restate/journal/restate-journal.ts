import { JournalUnavailable, type OrderRecord } from "../../../orders/order-journal.ts";
import type { EngineJournal } from "../../engine.ts";
import type { EngineAdmin } from "../client/engine-admin.ts";
import { EngineUnreachable } from "../client/engine-client.ts";
import type { Ingress } from "../client/ingress.ts";
import { type KnownRequest, OBJECTS } from "../objects.ts";
import { type KnownOrder, recordOf } from "../order/known-order.ts";
import { RestateOperators } from "./restate-operators.ts";

const LOOK_UP_TIMEOUT_MS = 900;

/** What is known of orders, asked of the engine. */
export class RestateJournal extends RestateOperators implements EngineJournal {
  readonly #ingress: Ingress;

  constructor(ingress: Ingress, admin: EngineAdmin) {
    super(admin, ingress);
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
}
