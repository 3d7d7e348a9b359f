import type { DatabaseSync } from "node:sqlite";
import { longestEventPauseMs } from "../../../src/journal/rules/due.ts";
import { EVENT_KEPT_MS, newEvent } from "../../../src/journal/rules/event-payload.ts";
import type { OutboxTable } from "../../../src/journal/rules/tables.ts";
import type { OrderEvent } from "../../../src/orders/order-event.ts";
import { dueRows } from "./due-rows.ts";
import { allOf, changeOf, fieldOf } from "./rows.ts";

const ALL_TRIES = { from: 0, upTo: Number.MAX_SAFE_INTEGER - 1 };
const INSERT = "INSERT INTO outbox (id, order_id, payload, created_ms, expires_ms, next_try_ms)";

/** When the first event of an order is due. Another one gets its time when the one before goes: so they are delivered in order. */
function firstOf(order: string, nowMs: string): string {
  return `CASE WHEN EXISTS (SELECT 1 FROM outbox WHERE order_id = ${order}) THEN NULL ELSE ${nowMs} END`;
}

/**
 * Events that wait for their delivery, and those that were given up. `seq` names a row here, `id` names the event to its receiver. Those of
 * earlier runs are delivered though `isEnabled` is false.
 */
export function outbox(db: DatabaseSync, isEnabled: boolean): OutboxTable {
  const add = changeOf(db, `${INSERT} VALUES (?1, ?2, ?3, ?4, ?4 + ${EVENT_KEPT_MS}, ${firstOf("?2", "?4")})`);
  const dueIds = dueRows(db, {
    table: "outbox",
    id: "seq",
    index: "outbox_due",
    where: "next_try_ms IS NOT NULL",
    longestPauseMs: longestEventPauseMs,
  });
  const event = db.prepare(
    "SELECT seq, id, order_id AS orderId, payload, created_ms AS createdMs, expires_ms AS expiresMs, tries FROM outbox WHERE seq = ?",
  );
  const failed = changeOf(db, "UPDATE outbox SET tries = tries + 1, next_try_ms = ?2 WHERE seq = ?1 AND next_try_ms IS NOT NULL");
  const removed = fieldOf<string>(db, "DELETE FROM outbox WHERE seq = ? RETURNING order_id");
  const promote = changeOf(
    db,
    `UPDATE outbox SET next_try_ms = ?
     WHERE seq = (SELECT seq FROM outbox WHERE order_id = ? ORDER BY seq LIMIT 1) AND next_try_ms IS NULL`,
  );
  const addDeadLetter = changeOf(
    db,
    `INSERT INTO dead_letters (seq, id, order_id, payload, created_ms, given_up_ms, reason)
     SELECT seq, id, order_id, payload, created_ms, ?3, ?2 FROM outbox WHERE seq = ?1`,
  );
  const putBack = changeOf(
    db,
    `${INSERT} SELECT id, order_id, payload, created_ms, ?2 + ${EVENT_KEPT_MS}, ${firstOf("dead_letters.order_id", "?2")}
     FROM dead_letters WHERE seq = ?1`,
  );
  const removeDeadLetter = fieldOf<string>(db, "DELETE FROM dead_letters WHERE seq = ? RETURNING order_id");
  const table: OutboxTable = {
    isEnabled,
    add: (...event) => {
      if (!isEnabled) return;
      const { id, orderId, payload, createdMs } = newEvent(...event);
      add(id, orderId, payload, createdMs);
    },
    due: (nowMs, limit, leastTried, except) => {
      const { ids, ...next } = dueIds({ parameters: [], tries: ALL_TRIES, nowMs, limit, leastTried, except });
      return { items: ids.map((seq) => event.get(seq) as unknown as OrderEvent), ...next };
    },
    failed,
    remove: (seq, nowMs) => {
      const orderId = removed(seq);
      if (orderId !== undefined) promote(nowMs, orderId);
    },
    giveUp: (seq, reason, nowMs) => {
      addDeadLetter(seq, reason, nowMs);
      table.remove(seq, nowMs);
    },
    oldest: allOf(db, "SELECT seq, expires_ms FROM outbox ORDER BY seq LIMIT ?"),
    redeliver: (seq, nowMs) => {
      putBack(seq, nowMs);
      return removeDeadLetter(seq);
    },
    expireDeadLetters: changeOf(
      db,
      "DELETE FROM dead_letters WHERE seq IN (SELECT seq FROM dead_letters WHERE given_up_ms < ? ORDER BY given_up_ms LIMIT ?)",
    ),
  };
  return table;
}
