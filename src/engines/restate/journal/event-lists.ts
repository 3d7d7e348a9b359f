import type { Cursor, DeadLetter, Page, Waiting } from "../../../orders/operator-journal.ts";
import { type BuriedEvent, DEAD, deadLetterId, QUEUE } from "../events/order-events-state.ts";
import { OBJECTS } from "../objects.ts";
import { type EngineTables, isAfter, sqlText } from "./engine-tables.ts";

const EVENTS = `service_name = ${sqlText(OBJECTS.orderEvents)}`;
const IS_QUEUE = `${EVENTS} AND key = ${sqlText(QUEUE)}`;
const IS_DEAD = `${EVENTS} AND key LIKE ${sqlText(`${DEAD}%`)}`;
const CREATED = "json_get_int(value_utf8, 'createdMs')";

/** Ids of orders whose events wait, in order, from the first after `after`. */
export async function ordersWithEvents(tables: EngineTables, after: string, limit: number): Promise<string[]> {
  const rows = await tables.rows(
    `SELECT service_key FROM state WHERE ${IS_QUEUE} AND service_key > ${sqlText(after)} ORDER BY service_key LIMIT ${limit}`,
  );
  return rows.map((row) => row.service_key as string);
}

/** How many events wait, and since when the oldest does. The first event of an order is its oldest. */
export async function pendingEvents(tables: EngineTables): Promise<Waiting> {
  const [row] = await tables.rows(
    `SELECT sum(json_length(value_utf8, 'events')) AS count, min(json_get_int(value_utf8, 'events', 0, 'sinceMs')) AS since FROM state
     WHERE ${IS_QUEUE}`,
  );
  const count = (row?.count as number | undefined) ?? 0;
  return count === 0 ? { count } : { count, sinceMs: row?.since as number };
}

export async function countDeadLetters(tables: EngineTables): Promise<number> {
  const [row] = await tables.rows(`SELECT count(*) AS count FROM state WHERE ${IS_DEAD}`);
  return (row?.count as number | undefined) ?? 0;
}

/** A page of the events that were given up, in the order in which they were written. */
export async function deadLetterPage(tables: EngineTables, cursor: Cursor | undefined, limit: number): Promise<Page<DeadLetter>> {
  const after = cursor === undefined ? "" : `AND ${isAfter(CREATED, ">", "key", cursor)}`;
  const rows = await tables.rows(
    `SELECT service_key, key, value_utf8 FROM state WHERE ${IS_DEAD} ${after} ORDER BY ${CREATED}, key LIMIT ${limit}`,
  );
  const items = rows.map((row): DeadLetter => {
    const orderId = row.service_key as string;
    const event = JSON.parse(row.value_utf8 as string) as BuriedEvent;
    return { ...event, seq: deadLetterId(orderId, event.id), orderId };
  });
  const last = items.length < limit ? undefined : items.at(-1);
  return { items, ...(last !== undefined && { next: [last.createdMs, `${DEAD}${last.id}`] }) };
}
