import { JournalUnavailable } from "../../orders/order-journal.ts";
import type { JournalStore } from "../journal-store.ts";
import type { Answers, Operation, OperationName, Query, QueryName, Result, Results } from "../protocol.ts";
import { execute } from "../rules/execute.ts";
import { find } from "../rules/find.ts";
import { backlog, compensationsPage, deadLettersPage, lastEndBefore, ordersPage } from "./lists.ts";
import { MemoryTables } from "./memory-tables.ts";

/** A journal that ends with the process: for trials and tests. It has no thread, and nothing of it can fail. */
export class MemoryStore implements JournalStore {
  readonly healthy = true;
  readonly commitSizes = [];
  readonly #tables: MemoryTables;
  #isClosed = false;

  constructor(events: boolean) {
    this.#tables = new MemoryTables(events);
  }

  request<Name extends OperationName>(operation: Operation & readonly [Name, ...unknown[]]): Promise<Results[Name]> {
    return this.#settled(() => execute(this.#tables, operation) as Result as Results[Name]);
  }

  read<Name extends QueryName>(query: Query & readonly [Name, ...unknown[]]): Promise<Answers[Name]> {
    return this.#settled(() => this.#answer(query) as Answers[Name]);
  }

  backup(): Promise<never> {
    return Promise.reject(new JournalUnavailable("a journal in memory has no backup"));
  }

  removeCutOffBackups(): Promise<readonly string[]> {
    return Promise.resolve([]);
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

  #answer(query: Query): Answers[QueryName] {
    const tables = this.#tables;
    switch (query[0]) {
      case "find":
        return find(tables, query[1], query[2], query[3]);
      case "orders":
        return ordersPage(tables, query[1], query[2], query[3], query[4], query[5]);
      case "compensations":
        return compensationsPage(tables, query[1], query[2], query[3]);
      case "compensation":
        return tables.compensations.row(query[1]);
      case "deadLetters":
        return deadLettersPage(tables, query[1], query[2]);
      case "actions":
        return tables.actions.of(query[1], query[2]);
      case "lastEndBefore":
        return lastEndBefore(tables, query[1]);
      case "restore":
        return { orders: 0, compensations: 0 };
      case "heldAttempts":
        return { items: [] };
      case "backlog":
        return backlog(tables);
    }
  }
}
