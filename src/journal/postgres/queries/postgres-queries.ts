import type { Answers, Query, QueryName } from "../../protocol.ts";
import type { Sql } from "../sql.ts";
import { actionsOn } from "./actions.ts";
import { Backlogs } from "./backlog.ts";
import { CompensationList } from "./compensation-list.ts";
import { deadLetters } from "./dead-letter-list.ts";
import { HeldList } from "./held-list.ts";
import { lastEndBefore } from "./last-end.ts";
import { OrderList } from "./order-list.ts";

/** All reads but `find`. */
export type ListQuery = Exclude<Query, readonly ["find", ...unknown[]]>;

/** The reads of operators: each statement looks at a bounded number of rows, and none needs a session of its own. */
export class PostgresQueries {
  readonly #sql: Sql;
  readonly #orders: OrderList;
  readonly #compensations: CompensationList;
  readonly #held: HeldList;
  readonly #backlogs: Backlogs;

  /** `sql`: a pool of plain sessions, with the schema in their search path. */
  constructor(sql: Sql) {
    this.#sql = sql;
    this.#orders = new OrderList(sql);
    this.#compensations = new CompensationList(sql);
    this.#held = new HeldList(sql);
    this.#backlogs = new Backlogs(sql);
  }

  /** Rejects as `sql` does. */
  run<Name extends Exclude<QueryName, "find">>(query: ListQuery & readonly [Name, ...unknown[]]): Promise<Answers[Name]> {
    return this.#answer(query) as Promise<Answers[Name]>;
  }

  #answer(query: ListQuery): Promise<Answers[QueryName]> {
    switch (query[0]) {
      case "orders":
        return this.#orders.page(query[1], query[2], query[3], query[4], query[5]);
      case "compensations":
        return this.#compensations.page(query[1], query[2], query[3]);
      case "compensation":
        return this.#compensations.one(query[1]);
      case "deadLetters":
        return deadLetters(this.#sql, query[1], query[2]);
      case "actions":
        return actionsOn(this.#sql, query[1], query[2]);
      case "lastEndBefore":
        return lastEndBefore(this.#sql, query[1]);
      case "restore":
        return this.#held.state();
      case "heldAttempts":
        return this.#held.page(query[1], query[2]);
      case "backlog":
        return this.#backlogs.read();
    }
  }
}
