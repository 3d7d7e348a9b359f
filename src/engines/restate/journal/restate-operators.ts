import type {
  Backlog,
  BackupDone,
  CompensationRow,
  Cursor,
  DeadLetter,
  OperatorJournal,
  OrderFilter,
  OrderSummary,
  Page,
  RowId,
} from "../../../orders/operator-journal.ts";
import { type CompensationStatus, JournalUnavailable } from "../../../orders/order-journal.ts";
import type { EngineAdmin } from "../client/engine-admin.ts";
import type { Ingress } from "../client/ingress.ts";
import type { Settlement } from "../compensation/compensation-object.ts";
import { keyOfCompensation } from "../compensation/compensation-state.ts";
import type { RedeliverRequest } from "../events/order-events-object.ts";
import { readDeadLetterId } from "../events/order-events-state.ts";
import { OBJECTS } from "../objects.ts";
import { compensationPage, waitingCompensations } from "./compensation-list.ts";
import { EngineTables, orUnavailable } from "./engine-tables.ts";
import { countDeadLetters, deadLetterPage, ordersWithEvents, waitingEvents } from "./event-lists.ts";
import { OrderList } from "./order-list.ts";

const ROW_TIMEOUT_MS = 5_000;
// A try may be under way, which ends before its own deadline, and then it is this one's turn.
const TRY_TIMEOUT_MS = 60_000;

/**
 * What operators ask of the engine: lists come from its tables, one row of an object from that object. Ids are texts. Every node gives the
 * same answers. Rejects with `JournalUnavailable` when the engine cannot be reached.
 */
export class RestateOperators implements OperatorJournal {
  readonly #engine: EngineTables;
  readonly #ingress: Ingress;
  readonly #orders: OrderList;

  constructor(admin: Pick<EngineAdmin, "query">, ingress: Ingress) {
    this.#engine = new EngineTables(admin);
    this.#ingress = ingress;
    this.#orders = new OrderList(this.#engine);
  }

  orders(filter: OrderFilter, cursor: Cursor | undefined, limit: number): Promise<Page<OrderSummary>> {
    return this.#orders.page(filter, cursor, limit);
  }

  /** Which of the two it is the id of, its user finds out. */
  rowIdOf(text: string): RowId | undefined {
    return keyOfCompensation(text) === undefined && readDeadLetterId(text) === undefined ? undefined : text;
  }

  compensations(status: CompensationStatus, cursor: Cursor | undefined, limit: number): Promise<Page<CompensationRow>> {
    return compensationPage(this.#engine, status, cursor, limit);
  }

  compensation(id: RowId): Promise<CompensationRow | undefined> {
    return this.#ofCompensation(id, "row", ROW_TIMEOUT_MS);
  }

  settleCompensation(id: RowId, note: string, nowMs: number): Promise<CompensationRow | undefined> {
    const body: Settlement = { note, nowMs };
    return this.#ofCompensation(id, "settle", TRY_TIMEOUT_MS, body);
  }

  /** An operator's retry: now, whatever the provider's health. Resolves when the try has ended and is written down. */
  async tryNow({ id }: Pick<CompensationRow, "id">): Promise<void> {
    await this.#ofCompensation(id, "tryNow", TRY_TIMEOUT_MS);
  }

  /** The object knows by itself that it has been settled. */
  forget(): void {}

  deadLetters(cursor: Cursor | undefined, limit: number): Promise<Page<DeadLetter>> {
    return deadLetterPage(this.#engine, cursor, limit);
  }

  async redeliver(id: RowId, nowMs: number): Promise<boolean> {
    const letter = readDeadLetterId(String(id));
    if (letter === undefined) return false;
    const body: RedeliverRequest = { eventId: letter.eventId, nowMs };
    const call = { object: OBJECTS.orderEvents, key: letter.orderId, handler: "redeliver", body, timeoutMs: TRY_TIMEOUT_MS };
    return orUnavailable(this.#ingress.call<boolean>(call));
  }

  /** Orders after this one whose events wait, by their ids. */
  ordersWithEvents(after: string, limit: number): Promise<string[]> {
    return ordersWithEvents(this.#engine, after, limit);
  }

  async backlog(): Promise<Backlog> {
    const [compensations, events, deadLetters] = await Promise.all([
      waitingCompensations(this.#engine),
      waitingEvents(this.#engine),
      countDeadLetters(this.#engine),
    ]);
    return { compensations, events, deadLetters };
  }

  backup(): Promise<BackupDone> {
    return Promise.reject(new JournalUnavailable("the engine keeps the orders, and its own snapshots are their backup"));
  }

  async #ofCompensation(
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
