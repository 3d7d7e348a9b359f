import type { Answers, Query, QueryName } from "../../protocol.ts";
import { answerTo, type Reads } from "../../rules/reads.ts";
import type { RestoresTable } from "../../rules/tables.ts";
import type { Sql } from "../sql.ts";
import { actionsOn } from "./actions.ts";
import { PostgresBacklog } from "./backlog.ts";
import { PostgresCompensations } from "./compensation-list.ts";
import { deadLetters } from "./dead-letter-list.ts";
import { findOrder } from "./find-order.ts";
import { PostgresHeld } from "./held-list.ts";
import { lastEndBefore } from "./last-end.ts";
import { PostgresOrders } from "./order-list.ts";

/** The reads: each statement looks at a bounded number of rows, and none needs a session of its own. */
export class PostgresQueries {
  readonly #reads: Reads;

  /** `sql`: plain sessions, with the schema in their search path. */
  constructor(sql: Sql, restores: RestoresTable) {
    const orders = new PostgresOrders(sql);
    const compensations = new PostgresCompensations(sql);
    const held = new PostgresHeld(sql);
    const backlogs = new PostgresBacklog(sql);
    this.#reads = {
      find: (...asked) => findOrder(sql, restores.firstIds, ...asked),
      orders: (...asked) => orders.page(...asked),
      compensations: (...asked) => compensations.page(...asked),
      compensation: (id) => compensations.one(id),
      deadLetters: (...asked) => deadLetters(sql, ...asked),
      actions: (...asked) => actionsOn(sql, ...asked),
      lastEndBefore: (ms) => lastEndBefore(sql, ms),
      restore: () => held.state(),
      heldAttempts: (...asked) => held.page(...asked),
      backlog: () => backlogs.read(),
    };
  }

  /** Rejects as `sql` does. */
  async run<Name extends QueryName>(query: Query & readonly [Name, ...unknown[]]): Promise<Answers[Name]> {
    return (await answerTo(this.#reads, query)) as Answers[Name];
  }
}
