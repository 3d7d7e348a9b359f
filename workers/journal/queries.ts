import { statSync } from "node:fs";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Answers, JournalSettings, Query, QueryName, QueryReply } from "../../src/journal/protocol.ts";
import { find } from "../../src/journal/rules/find.ts";
import { Backlogs } from "./queries/backlog.ts";
import { CompensationList } from "./queries/compensation-list.ts";
import { DeadLetterList } from "./queries/dead-letter-list.ts";
import { HeldList } from "./queries/held-list.ts";
import { lastEnd } from "./queries/last-end.ts";
import { OrderList } from "./queries/order-list.ts";
import { troubleOf } from "./sqlite-trouble.ts";
import { type SqliteTables, tablesOf } from "./tables/tables.ts";

/** The reads. Each looks at a bounded number of rows, so none delays the next for long. */
export class Queries {
  readonly #db: DatabaseSync;
  readonly #begin: StatementSync;
  readonly #end: StatementSync;
  readonly #tables: SqliteTables;
  readonly #orders: OrderList;
  readonly #compensations: CompensationList;
  readonly #deadLetters: DeadLetterList;
  readonly #held: HeldList;
  readonly #lastEnd: ReturnType<typeof lastEnd>;
  readonly #backlogs: Backlogs;

  constructor({ file }: JournalSettings, db: DatabaseSync) {
    this.#db = db;
    this.#begin = db.prepare("BEGIN");
    // A read has nothing to commit, and unlike COMMIT this works after any error.
    this.#end = db.prepare("ROLLBACK");
    this.#tables = tablesOf(db, false);
    this.#orders = new OrderList(db);
    this.#compensations = new CompensationList(db, this.#tables.compensations);
    this.#deadLetters = new DeadLetterList(db);
    this.#held = new HeldList(db, this.#tables);
    this.#lastEnd = lastEnd(db);
    this.#backlogs = new Backlogs(db, () => sizeOf(file));
  }

  /** Throws nothing: a fault of one query must not end the thread of all others. */
  run(query: Query): QueryReply | Promise<QueryReply> {
    // These take long, so they let others run in between. Their statements need no common snapshot.
    if (query[0] === "backlog" || query[0] === "restore") {
      return (query[0] === "backlog" ? this.#backlogs.read() : this.#held.state()).then(
        (answer) => ({ answer }),
        // The journal may have been closed in between, and a statement that is finalized is no fault then.
        (error: unknown) => (this.#db.isOpen ? replyTo(error) : { unavailable: "the journal is closed" }),
      );
    }
    try {
      // One snapshot for all statements of a query: the writer may commit between any two.
      this.#begin.run();
      return { answer: this.#answer(query) };
    } catch (error) {
      return replyTo(error);
    } finally {
      // Some errors have ended the transaction already.
      if (this.#db.isTransaction) this.#end.run();
    }
  }

  close(): void {
    this.#db.close();
  }

  #answer(query: Exclude<Query, readonly ["backlog" | "restore"]>): Answers[QueryName] {
    switch (query[0]) {
      case "find":
        return find(this.#tables, query[1], query[2], query[3]);
      case "orders":
        return this.#orders.page(query[1], query[2], query[3], query[4], query[5]);
      case "compensations":
        return this.#compensations.page(query[1], query[2], query[3]);
      case "compensation":
        return this.#tables.compensations.row(query[1]);
      case "deadLetters":
        return this.#deadLetters.page(query[1], query[2]);
      case "heldAttempts":
        return this.#held.page(query[1], query[2]);
      case "actions":
        return this.#tables.actions.of(query[1], query[2]);
      case "lastEndBefore":
        return this.#lastEnd(query[1]);
    }
  }
}

function replyTo(error: unknown): QueryReply {
  const unavailable = troubleOf(error);
  return unavailable === undefined ? { fault: (error as Error).message } : { unavailable };
}

function sizeOf(file: string): number {
  return [file, `${file}-wal`].reduce((sum, name) => sum + (statSync(name, { throwIfNoEntry: false })?.size ?? 0), 0);
}
