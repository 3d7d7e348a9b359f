import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Query, QueryReply } from "../../src/journal/protocol.ts";
import { find } from "../../src/journal/rules/find.ts";
import { ordersPage } from "../../src/journal/rules/order-pages.ts";
import { answerTo, pageOf, type Readers } from "../../src/journal/rules/reads.ts";
import type { DeadLetter } from "../../src/orders/operator-journal.ts";
import { backlog } from "./queries/backlog.ts";
import { compensationList } from "./queries/compensation-list.ts";
import { heldList, restoreState } from "./queries/held-list.ts";
import { MAX_SCANNED, SqliteOrders } from "./queries/order-list.ts";
import { troubleOf } from "./sqlite-trouble.ts";
import { BLOCK_IDS } from "./tables/attempts.ts";
import { fieldOf } from "./tables/rows.ts";
import { tablesOf } from "./tables/tables.ts";

/** The reads. Each looks at a bounded number of rows, so none delays the next for long. */
export class Queries {
  readonly #db: DatabaseSync;
  readonly #begin: StatementSync;
  readonly #end: StatementSync;
  readonly #reads: Readers;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#begin = db.prepare("BEGIN");
    // A read has nothing to commit, and unlike COMMIT this works after any error.
    this.#end = db.prepare("ROLLBACK");
    const tables = tablesOf(db, false);
    const orders = new SqliteOrders(db);
    this.#reads = {
      find: (...asked) => find(tables, ...asked),
      orders: (...asked) => ordersPage(orders, MAX_SCANNED, ...asked),
      compensations: compensationList(db, tables.compensations.row),
      compensation: tables.compensations.row,
      deadLetters: deadLetterList(db),
      actions: tables.actions.of,
      lastEndBefore: lastEnd(db),
      restore: restoreState(db, tables),
      heldAttempts: heldList(db, tables),
      backlog: backlog(db, () => sizesOf(db.location() as string)),
    };
  }

  /** Throws nothing: a fault of one query must not end the thread of all others. */
  run(query: Query): QueryReply | Promise<QueryReply> {
    // These take long, so they let others run in between. Their statements need no common snapshot.
    if (query[0] === "backlog" || query[0] === "restore") return this.#inSlices(query);
    try {
      // One snapshot for all statements of a query: the writer may commit between any two.
      this.#begin.run();
      return { answer: answerTo(this.#reads, query) } as QueryReply;
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

  async #inSlices(query: Query): Promise<QueryReply> {
    try {
      return { answer: await answerTo(this.#reads, query) };
    } catch (error) {
      // The journal may have been closed in between, and a statement that is finalized is no fault then.
      return this.#db.isOpen ? replyTo(error) : { unavailable: "the journal is closed" };
    }
  }
}

function replyTo(error: unknown): QueryReply {
  const unavailable = troubleOf(error);
  return unavailable === undefined ? { fault: (error as Error).message } : { unavailable };
}

/** `file`: as SQLite has opened it, links resolved: its log and its room are where it is. */
function sizesOf(file: string): { bytes: number; freeBytes: number } {
  const bytes = [file, `${file}-wal`].reduce((sum, name) => sum + (statSync(name, { throwIfNoEntry: false })?.size ?? 0), 0);
  // Not `bfree`: file systems keep a part of that for root.
  const { bavail, bsize } = statfsSync(dirname(file));
  return { bytes, freeBytes: bavail * bsize };
}

/** When something ended last before a time. Of placed orders between the newest and the bounds of a block it may miss some. */
export function lastEnd(db: DatabaseSync): Readers["lastEndBefore"] {
  // The first block is there, with zeros, before its first attempt.
  const last = fieldOf<number | null>(
    db,
    `SELECT max(at_ms) FROM (
       SELECT max(ended_ms) AS at_ms FROM attempts INDEXED BY attempts_failed WHERE error IS NOT NULL AND ended_ms < ?1
       UNION ALL SELECT max(ended_ms) FROM attempts WHERE id > (SELECT max(id) FROM attempts) - ${BLOCK_IDS} AND ended_ms < ?1
       UNION ALL SELECT max(max_ended_ms) FROM attempt_blocks WHERE max_ended_ms < ?1 AND max_ended_ms > 0
       UNION ALL SELECT max(min_ended_ms) FROM attempt_blocks WHERE min_ended_ms < ?1 AND min_ended_ms > 0
       UNION ALL SELECT max(given_up_ms) FROM dead_letters WHERE given_up_ms < ?1)`,
  );
  return (beforeMs) => last(beforeMs) ?? null;
}

/** Events that were given up, in the order in which they were written. */
export function deadLetterList(db: DatabaseSync): Readers["deadLetters"] {
  const letters = db.prepare(
    `SELECT seq, id, order_id AS orderId, payload, created_ms AS createdMs, given_up_ms AS givenUpMs, reason
     FROM dead_letters WHERE seq > ? ORDER BY seq LIMIT ?`,
  );
  return (cursor, limit) => {
    const [after = 0] = cursor ?? [];
    return pageOf(letters.all(after, limit) as unknown as DeadLetter[], limit, ({ seq }) => [seq]);
  };
}
