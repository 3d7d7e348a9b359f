import { JournalUnavailable } from "../../orders/order-journal.ts";
import type { JournalStore } from "../journal-store.ts";
import type { Answers, Operation, OperationName, Query, QueryName, Result, Results } from "../protocol.ts";
import { execute } from "../rules/execute.ts";
import { find } from "../rules/find.ts";
import { ordersPage } from "../rules/order-pages.ts";
import { answerTo, type Readers } from "../rules/reads.ts";
import { backlog, compensationsPage, deadLettersPage, lastEndBefore, MAX_SCANNED, MemoryOrders } from "./lists.ts";
import { MemoryTables } from "./memory-tables.ts";

/** A journal that ends with the process: for trials and tests. It has no thread, and nothing of it can fail. */
export class MemoryStore implements JournalStore {
  readonly healthy = true;
  readonly #tables: MemoryTables;
  readonly #reads: Readers;
  #isClosed = false;

  constructor(events: boolean) {
    const tables = new MemoryTables(events);
    const orders = new MemoryOrders(tables);
    this.#tables = tables;
    this.#reads = {
      find: (...asked) => find(tables, ...asked),
      orders: (...asked) => ordersPage(orders, MAX_SCANNED, ...asked),
      compensations: (...asked) => compensationsPage(tables, ...asked),
      compensation: (id) => tables.compensations.row(id),
      deadLetters: (...asked) => deadLettersPage(tables, ...asked),
      actions: (...asked) => tables.actions.of(...asked),
      lastEndBefore: (ms) => lastEndBefore(tables, ms),
      // A journal in memory is never made of a backup.
      restore: () => ({ orders: 0, compensations: 0 }),
      heldAttempts: () => ({ items: [] }),
      backlog: () => backlog(tables),
    };
  }

  request<Name extends OperationName>(operation: Operation & readonly [Name, ...unknown[]]): Promise<Results[Name]> {
    return this.#settled(() => execute(this.#tables, operation) as Result as Results[Name]);
  }

  read<Name extends QueryName>(query: Query & readonly [Name, ...unknown[]]): Promise<Answers[Name]> {
    return this.#settled(() => answerTo(this.#reads, query) as Answers[Name]);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #settled<T>(work: () => T): Promise<T> {
    if (this.#isClosed) return Promise.reject(new JournalUnavailable("the journal is closed"));
    try {
      return Promise.resolve(work());
    } catch (error) {
      return Promise.reject(error);
    }
  }
}
