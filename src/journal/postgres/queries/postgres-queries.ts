import type { Cursor, DeadLetter, OperatorAction, OperatorActionName, Page } from "../../../orders/operator-journal.ts";
import type { Answers, Query, QueryName } from "../../protocol.ts";
import { answerTo, pageOf, type Readers } from "../../rules/reads.ts";
import type { RestoresTable } from "../../rules/tables.ts";
import { type Sql, statement } from "../sql.ts";
import { PostgresBacklog } from "./backlog.ts";
import { compensation, compensationsPage } from "./compensation-list.ts";
import { findOrder } from "./find-order.ts";
import { PostgresHeld } from "./held-list.ts";
import { lastEndBefore } from "./last-end.ts";
import { PostgresOrders } from "./order-list.ts";

/** The reads: each statement looks at a bounded number of rows, and none needs a session of its own. */
export class PostgresQueries {
  readonly #reads: Readers;

  /** `sql`: plain sessions, with the schema in their search path. */
  constructor(sql: Sql, restores: RestoresTable) {
    const orders = new PostgresOrders(sql);
    const held = new PostgresHeld(sql);
    const backlogs = new PostgresBacklog(sql);
    this.#reads = {
      find: (...asked) => findOrder(sql, restores.firstIds, ...asked),
      orders: (...asked) => orders.page(...asked),
      compensations: (...asked) => compensationsPage(sql, ...asked),
      compensation: (id) => compensation(sql, id),
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

const ACTIONS = statement("actions")`
  SELECT at_ms, actor, action, detail FROM operator_actions WHERE order_id = $1::text ORDER BY id DESC LIMIT $2::bigint`;

/** The newest actions about an order, oldest first. */
async function actionsOn(sql: Sql, orderId: string, limit: number): Promise<readonly OperatorAction[]> {
  const found = await sql.rows<[number, string, OperatorActionName, string | null]>(ACTIONS, [orderId, limit]);
  return found.reverse().map(([atMs, actor, action, detail]) => ({ atMs, actor, action, ...(detail !== null && { detail }) }));
}

const DEAD_LETTERS = statement("dead-letters")`
  SELECT seq, id, order_id, payload, created_ms, given_up_ms, reason FROM dead_letters WHERE seq > $1::bigint ORDER BY seq LIMIT $2::bigint`;

/** Events that were given up, in the order in which they were written. */
async function deadLetters(sql: Sql, cursor: Cursor | undefined, limit: number): Promise<Page<DeadLetter>> {
  const [after = 0] = cursor ?? [];
  const found = await sql.rows<[number, string, string, string, number, number, string]>(DEAD_LETTERS, [after, limit]);
  const items = found.map(([seq, id, ...row]) => {
    const [orderId, payload, createdMs, givenUpMs, reason] = row;
    return { seq, id, orderId, payload, createdMs, givenUpMs, reason };
  });
  return pageOf(items, limit, ({ seq }) => [seq]);
}
