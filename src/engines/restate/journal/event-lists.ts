import type { Cursor, DeadLetter, Page, Waiting } from "../../../orders/operator-journal.ts";
import { type BuriedEvent, DEAD, deadLetterId, QUEUE } from "../events/order-events-state.ts";
import { OBJECTS } from "../objects.ts";
import { type EngineTables, quoted } from "./engine-tables.ts";

const EVENTS = `service_name = ${quoted(OBJECTS.orderEvents)}`;
const IS_QUEUE = `${EVENTS} AND key = ${quoted(QUEUE)}`;
const IS_DEAD = `${EVENTS} AND key LIKE ${quoted(`${DEAD}%`)}`;
const CREATED = "json_get_int(value_utf8, 'createdMs')";

/** Orders after this one whose events wait, by their ids. */
export async function ordersWithEvents(engine: EngineTables, after: string, limit: number): Promise<string[]> {
  const rows = await engine.rows(
    `SELECT service_key FROM state WHERE ${IS_QUEUE} AND service_key > ${quoted(after)} ORDER BY service_key LIMIT ${limit}`,
  );
  return rows.map((row) => row.service_key as string);
}

/** How many events wait, and since when the oldest first one of an order does. */
export async function waitingEvents(engine: EngineTables): Promise<Waiting> {
  const [row] = await engine.rows(
    `SELECT sum(json_length(value_utf8, 'events')) AS count, min(json_get_int(value_utf8, 'events', 0, 'sinceMs')) AS since FROM state
     WHERE ${IS_QUEUE}`,
  );
  const count = (row?.count as number | undefined) ?? 0;
  return count === 0 ? { count } : { count, sinceMs: row?.since as number };
}

export async function countDeadLetters(engine: EngineTables): Promise<number> {
  const [row] = await engine.rows(`SELECT count(*) AS count FROM state WHERE ${IS_DEAD}`);
  return (row?.count as number | undefined) ?? 0;
}

/** A page of the events that were given up, in the order in which they were written. */
export async function deadLetterPage(engine: EngineTables, cursor: Cursor | undefined, limit: number): Promise<Page<DeadLetter>> {
  const after = cursor === undefined ? "" : `AND ${isAfter(cursor)}`;
  const rows = await engine.rows(
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

function isAfter([createdMs, key]: Cursor): string {
  return `(${CREATED} > ${Number(createdMs)} OR (${CREATED} = ${Number(createdMs)} AND key > ${quoted(String(key))}))`;
}
