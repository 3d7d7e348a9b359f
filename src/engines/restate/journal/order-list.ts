import type { ErrorKind } from "../../../orders/error-kind.ts";
import type { Cursor, OrderFilter, OrderStatus, OrderSummary, Page } from "../../../orders/operator-journal.ts";
import { HEAD, OBJECTS } from "../objects.ts";
import { type EngineTables, isAfter, type Row, sqlText } from "./engine-tables.ts";

// The parts of the list; a cursor names the one it is in. The last part has the orders that got a new attempt since the first page was read:
// they have moved from pages to come to pages that were read already.
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

/** Orders by their latest attempt, newest first: those that run, then those that have ended. Each page reads the state of all orders. */
export class OrderList {
  readonly #tables: EngineTables;

  constructor(tables: EngineTables) {
    this.#tables = tables;
  }

  async page(filter: OrderFilter, cursor: Cursor | undefined, limit: number): Promise<Page<OrderSummary>> {
    const [part = RUNNING, beganMs = Date.now(), ...from] = cursor ?? [];
    const items: OrderSummary[] = [];
    const { status } = filter;
    const began = Number(beganMs);
    for (let at = Number(part), after = from; at <= MOVED; at++, after = []) {
      if ((at === RUNNING && status !== undefined && status !== "running") || (at !== RUNNING && status === "running")) continue;
      // No order can have moved while there is one page only.
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
      after.length === 0
        ? ""
        : `AND ${part === MOVED ? `service_key > ${sqlText(String(after[0]))}` : isAfter(timed, "<", "service_key", after)}`,
    ];
    const order = part === MOVED ? "service_key" : `${timed} DESC, service_key`;
    return this.#tables.rows(
      `SELECT ${COLUMNS} FROM state WHERE service_name = ${sqlText(OBJECTS.order)} AND key = ${sqlText(HEAD)} ${conditions.join(" ")}
       ORDER BY ${order} LIMIT ${limit}`,
    );
  }
}

function placeOf(part: number, { accepted, ended, service_key }: Row): Cursor {
  return part === MOVED ? [String(service_key)] : [Number(ended ?? accepted), String(service_key)];
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
