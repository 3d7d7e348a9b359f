import type { Ingress } from "@restatedev/restate-sdk-clients";
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
import { COMPENSATION } from "../compensation/compensation-object.ts";
import { keyOfCompensation } from "../compensation/compensation-state.ts";
import { ORDER_EVENTS } from "../events/order-events-object.ts";
import { readDeadLetterId } from "../events/order-events-state.ts";
import { compensationPage, waitingCompensations } from "./compensation-list.ts";
import { countDeadLetters, deadLetterPage, waitingEvents } from "./event-lists.ts";
import type { Introspection } from "./introspection.ts";
import { OrderList } from "./order-list.ts";

/**
 * What operators ask of the engine: lists come from its tables, one row of an object from that object. Ids are texts. Every node gives the
 * same answers. Rejects with `JournalUnavailable` when the engine cannot be reached.
 */
export class RestateOperators implements OperatorJournal {
  readonly #engine: Introspection;
  readonly #ingress: Ingress;
  readonly #orders: OrderList;

  constructor(engine: Introspection, ingress: Ingress) {
    this.#engine = engine;
    this.#ingress = ingress;
    this.#orders = new OrderList(engine);
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

  async compensation(id: RowId): Promise<CompensationRow | undefined> {
    const key = keyOfCompensation(String(id));
    if (key === undefined) return undefined;
    return (await reached(this.#ingress.objectClient<typeof COMPENSATION>(COMPENSATION, key).row())) ?? undefined;
  }

  async settleCompensation(id: RowId, note: string, nowMs: number): Promise<CompensationRow | undefined> {
    const key = keyOfCompensation(String(id));
    if (key === undefined) return undefined;
    return (await reached(this.#ingress.objectClient<typeof COMPENSATION>(COMPENSATION, key).settle({ note, nowMs }))) ?? undefined;
  }

  /** An operator's retry: now, whatever the provider's health. Resolves when the try has ended and is written down. */
  async tryNow({ id }: Pick<CompensationRow, "id">): Promise<void> {
    const key = keyOfCompensation(String(id));
    if (key !== undefined) await reached(this.#ingress.objectClient<typeof COMPENSATION>(COMPENSATION, key).tryNow());
  }

  /** The object knows by itself that it has been settled. */
  forget(): void {}

  deadLetters(cursor: Cursor | undefined, limit: number): Promise<Page<DeadLetter>> {
    return deadLetterPage(this.#engine, cursor, limit);
  }

  async redeliver(id: RowId, nowMs: number): Promise<boolean> {
    const letter = readDeadLetterId(String(id));
    if (letter === undefined) return false;
    const { orderId, eventId } = letter;
    return reached(this.#ingress.objectClient<typeof ORDER_EVENTS>(ORDER_EVENTS, orderId).redeliver({ eventId, nowMs }));
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
}

/** What the engine answers, or the error that operators are told. */
async function reached<T>(call: PromiseLike<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw new JournalUnavailable(`the engine did not answer (${(error as Error).message.slice(0, 200)})`);
  }
}
