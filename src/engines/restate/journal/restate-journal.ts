import type {
  Backlog,
  BackupDone,
  CompensationRow,
  Cursor,
  DeadLetter,
  OrderFilter,
  OrderSummary,
  Page,
  RowId,
} from "../../../orders/operator-journal.ts";
import { type CompensationStatus, JournalUnavailable, type OrderRecord } from "../../../orders/order-journal.ts";
import type { EngineJournal } from "../../engine.ts";
import type { EngineAdmin } from "../client/engine-admin.ts";
import type { Ingress } from "../client/ingress.ts";
import type { Settlement } from "../compensation/compensation-object.ts";
import { keyOfCompensation } from "../compensation/compensation-state.ts";
import type { RedeliverRequest } from "../events/order-events-object.ts";
import { readDeadLetterId } from "../events/order-events-state.ts";
import { type KnownRequest, OBJECTS } from "../objects.ts";
import { type KnownOrder, recordOf } from "../order/known-order.ts";
import { compensationPage, pendingCompensations } from "./compensation-list.ts";
import { EngineTables, orUnavailable } from "./engine-tables.ts";
import { countDeadLetters, deadLetterPage, ordersWithEvents, pendingEvents } from "./event-lists.ts";
import { OrderList } from "./order-list.ts";

// A client that looks up an order hears within a second that the engine does not answer.
const LOOK_UP_TIMEOUT_MS = 900;
const ROW_TIMEOUT_MS = 5_000;
// The call waits for a try that is under way, which ends before its own deadline.
const TRY_TIMEOUT_MS = 60_000;

/**
 * What clients and operators ask of the engine. Lists come from its tables, one row of an object from that object. Ids are texts. Every
 * node gives the same answers. Rejects with `JournalUnavailable` when the engine cannot be reached. Main thread only.
 */
export class RestateJournal implements EngineJournal {
  readonly #tables: EngineTables;
  readonly #ingress: Ingress;
  readonly #orders: OrderList;

  constructor(ingress: Ingress, admin: Pick<EngineAdmin, "query">) {
    this.#tables = new EngineTables(admin);
    this.#ingress = ingress;
    this.#orders = new OrderList(this.#tables);
  }

  async find(orderId: string, before?: number): Promise<OrderRecord | undefined> {
    const body: KnownRequest = before === undefined ? {} : { before };
    const call = { object: OBJECTS.order, key: orderId, handler: "known", body, timeoutMs: LOOK_UP_TIMEOUT_MS };
    const known = await orUnavailable(this.#ingress.call<KnownOrder | null>(call));
    return known === null ? undefined : recordOf(orderId, known);
  }

  orders(filter: OrderFilter, cursor: Cursor | undefined, limit: number): Promise<Page<OrderSummary>> {
    return this.#orders.page(filter, cursor, limit);
  }

  /** The caller finds out whether it is the id of a compensation or of a dead letter. */
  rowIdOf(text: string): RowId | undefined {
    return keyOfCompensation(text) === undefined && readDeadLetterId(text) === undefined ? undefined : text;
  }

  compensations(status: CompensationStatus, cursor: Cursor | undefined, limit: number): Promise<Page<CompensationRow>> {
    return compensationPage(this.#tables, status, cursor, limit);
  }

  compensation(id: RowId): Promise<CompensationRow | undefined> {
    return this.#callCompensation(id, "row", ROW_TIMEOUT_MS);
  }

  settleCompensation(id: RowId, note: string, nowMs: number): Promise<CompensationRow | undefined> {
    const body: Settlement = { note, nowMs };
    return this.#callCompensation(id, "settle", TRY_TIMEOUT_MS, body);
  }

  /** An operator's retry: now, whatever the provider's health. Resolves when the try has ended and is stored. */
  async tryNow({ id }: Pick<CompensationRow, "id">): Promise<void> {
    await this.#callCompensation(id, "tryNow", TRY_TIMEOUT_MS);
  }

  /** Does nothing: the settled object itself makes no further try. */
  forget(): void {}

  deadLetters(cursor: Cursor | undefined, limit: number): Promise<Page<DeadLetter>> {
    return deadLetterPage(this.#tables, cursor, limit);
  }

  async redeliver(id: RowId, nowMs: number): Promise<boolean> {
    const letter = readDeadLetterId(String(id));
    if (letter === undefined) return false;
    const body: RedeliverRequest = { eventId: letter.eventId, nowMs };
    const call = { object: OBJECTS.orderEvents, key: letter.orderId, handler: "redeliver", body, timeoutMs: TRY_TIMEOUT_MS };
    return orUnavailable(this.#ingress.call<boolean>(call));
  }

  /** Ids of orders whose events wait, in order, from the first after `after`. */
  ordersWithEvents(after: string, limit: number): Promise<string[]> {
    return ordersWithEvents(this.#tables, after, limit);
  }

  async backlog(): Promise<Backlog> {
    const [compensations, events, deadLetters] = await Promise.all([
      pendingCompensations(this.#tables),
      pendingEvents(this.#tables),
      countDeadLetters(this.#tables),
    ]);
    return { compensations, events, deadLetters };
  }

  backup(): Promise<BackupDone> {
    return Promise.reject(new JournalUnavailable("the engine keeps the orders, and its own snapshots are their backup"));
  }

  async #callCompensation(
    id: RowId,
    handler: "row" | "settle" | "tryNow",
    timeoutMs: number,
    body?: Settlement,
  ): Promise<CompensationRow | undefined> {
    const key = keyOfCompensation(String(id));
    if (key === undefined) return undefined;
    const call = { object: OBJECTS.compensation, key, handler, timeoutMs, ...(body !== undefined && { body }) };
    return (await orUnavailable(this.#ingress.call<CompensationRow | null>(call))) ?? undefined;
  }
}
