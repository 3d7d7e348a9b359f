import type { ErrorKind } from "../../../orders/error-kind.ts";
import type { Cursor, OrderFilter, OrderStatus, OrderSummary, Page } from "../../../orders/operator-journal.ts";
import { HEAD, OBJECTS } from "../objects.ts";
import { type EngineTables, quoted, type Row } from "./engine-tables.ts";

// Which part of the list a cursor is in: orders that run, by when they were accepted; those that have ended; and last those that were placed
// anew since the first page was read, which have left their place behind the pages for one before them.
const RUNNING = 0;
const ENDED = 1;
const MOVED = 2;

const LATEST = "value_utf8, 'latest'";
const ACCEPTED = `json_get_int(${LATEST}, 'acceptedMs')`;
const ATTEMPT = `json_get_int(${LATEST}, 'attempt')`;
const ENDED_AT = `json_get_int(${LATEST}, 'ended', 'atMs')`;
const ERROR = `json_get_str(${LATEST}, 'ended', 'answer', 'error')`;
const HAS_PENDING = `strpos(json_get_json(${LATEST}, 'ended', 'compensations'), '"pending"') > 0`;
const COLUMNS = `service_key, ${ATTEMPT} AS attempt, json_get_int(${LATEST}, 'amount') AS amount, ${ACCEPTED} AS accepted,
  ${ENDED_AT} AS ended, ${ERROR} AS error, coalesce(${HAS_PENDING}, false) AS pending`;

const OF_STATUS: Readonly<Record<Exclude<OrderStatus, "running">, string>> = {
  ok: `AND ${ERROR} IS NULL`,
  error: `AND ${ERROR} IS NOT NULL`,
  compensating: `AND ${HAS_PENDING}`,
};

/** Orders by their latest attempt, newest first: those that run, then by when they ended. Each page is one look at all orders. */
export class OrderList {
  readonly #engine: EngineTables;

  constructor(engine: EngineTables) {
    this.#engine = engine;
  }

  async page(filter: OrderFilter, cursor: Cursor | undefined, limit: number): Promise<Page<OrderSummary>> {
    const [part = RUNNING, beganMs = Date.now(), ...from] = cursor ?? [];
    const items: OrderSummary[] = [];
    const { status } = filter;
    const began = Number(beganMs);
    for (let at = Number(part), after = from; at <= MOVED; at++, after = []) {
      if ((at === RUNNING && status !== undefined && status !== "running") || (at !== RUNNING && status === "running")) continue;
      // Nobody can have missed what was placed anew while there was one page only.
      if (at === MOVED && cursor === undefined) break;
      const found = await this.#part(at, filter, began, after, limit - items.length);
      items.push(...found.map(summaryOf));
      const last = found.at(-1);
      if (last !== undefined && items.length === limit) return { items, next: [at, began, ...placeOf(at, last)] };
    }
    return { items };
  }

  #part(part: number, { status, sinceMs, untilMs }: OrderFilter, beganMs: number, after: Cursor, limit: number): Promise<readonly Row[]> {
    const timed = part === RUNNING ? ACCEPTED : `coalesce(${ENDED_AT}, ${ACCEPTED})`;
    const isNew = `${ATTEMPT} > 1 AND ${ACCEPTED} >= ${beganMs}`;
    const conditions = [
      part === RUNNING ? `AND ${ENDED_AT} IS NULL` : part === ENDED ? `AND ${ENDED_AT} IS NOT NULL` : `AND ${isNew}`,
      status === undefined || status === "running" ? "" : OF_STATUS[status],
      sinceMs === undefined ? "" : `AND ${timed} >= ${sinceMs}`,
      untilMs === undefined ? "" : `AND ${timed} < ${untilMs}`,
      after.length === 0 ? "" : `AND ${isAfter(part, timed, after)}`,
    ];
    const order = part === MOVED ? "service_key" : `${timed} DESC, service_key`;
    return this.#engine.rows(
      `SELECT ${COLUMNS} FROM state WHERE service_name = ${quoted(OBJECTS.order)} AND key = ${quoted(HEAD)} ${conditions.join(" ")}
       ORDER BY ${order} LIMIT ${limit}`,
    );
  }
}

function placeOf(part: number, { accepted, ended, service_key }: Row): Cursor {
  return part === MOVED ? [String(service_key)] : [Number(ended ?? accepted), String(service_key)];
}

function isAfter(part: number, timed: string, after: Cursor): string {
  if (part === MOVED) return `service_key > ${quoted(String(after[0]))}`;
  const [ms, key] = after;
  return `(${timed} < ${Number(ms)} OR (${timed} = ${Number(ms)} AND service_key > ${quoted(String(key))}))`;
}

function summaryOf({ service_key, attempt, amount, accepted, ended, error, pending }: Row): OrderSummary {
  const failed = error !== undefined && error !== null;
  return {
    orderId: service_key as string,
    attempt: attempt as number,
    amount: amount as number,
    status: ended === undefined || ended === null ? "running" : !failed ? "ok" : pending === true ? "compensating" : "error",
    ...(failed && { error: error as ErrorKind }),
    acceptedMs: accepted as number,
    ...(ended !== undefined && ended !== null && { endedMs: ended as number }),
  };
}
