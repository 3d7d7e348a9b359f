import { EVENT_KEPT_MS } from "../../../orders/event-payload.ts";
import type { CompensationRecord } from "../../memory/compensations.ts";
import type { Sql, Statement } from "../sql.ts";
import { isNew } from "./batch-compensations.ts";
import type { BatchTables } from "./batch-tables.ts";

const NEW_ATTEMPTS = `
  INSERT INTO attempts (order_id, attempt, amount, accepted_ms, open_by)
  SELECT v.order_id, v.attempt, v.amount, v.accepted_ms, $5 FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
    v (order_id, attempt, amount, accepted_ms)`;
const ADD_ATTEMPTS: Statement = { name: "add_attempts", text: `${NEW_ATTEMPTS} RETURNING order_id, attempt, id` };
// Nothing was looked up before: an order that is known is left out. Its first attempt may be deleted while a later one stands.
const ADD_UNKNOWN_ATTEMPTS: Statement = {
  name: "add_unknown_attempts",
  text: `${NEW_ATTEMPTS} WHERE (SELECT attempt FROM retired_orders r WHERE r.order_id = v.order_id) IS NULL
           AND (SELECT attempt FROM attempts a WHERE a.order_id = v.order_id LIMIT 1) IS NULL
         ON CONFLICT DO NOTHING RETURNING order_id, attempt, id`,
};
const CHANGE_ATTEMPTS: Statement = {
  name: "change_attempts",
  text: `
    WITH changed AS (
      UPDATE attempts a SET open_by = v.open_by, ended_ms = v.ended_ms, error = v.error, interrupted = v.interrupted,
        answered = v.answered, answer = v.answer
      FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::smallint[], $7::smallint[], $8::text[])
        v (id, was_open_by, open_by, ended_ms, error, interrupted, answered, answer)
      WHERE a.id = ANY (ARRAY[v.id]) AND a.open_by IS NOT DISTINCT FROM v.was_open_by RETURNING 1)
    SELECT expect(count(*), $9) FROM changed`,
};
const ADD_COMPENSATIONS: Statement = {
  name: "add_compensations",
  text: `
    INSERT INTO compensations (attempt_id, step, state, next_try_ms, taken_by)
    SELECT attempt_id, step, state, next_try_ms, CASE WHEN state = 'trying' THEN $5::bigint END
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY v (attempt_id, step, state, next_try_ms, place) ORDER BY place
    RETURNING id, attempt_id, step`,
};
const CHANGE_COMPENSATIONS: Statement = {
  name: "change_compensations",
  text: `
    WITH changed AS (
      UPDATE compensations c SET state = v.state, tries = v.tries, next_try_ms = v.next_try_ms, last_answer = v.last_answer,
        ended_ms = v.ended_ms, note = v.note, taken_by = CASE WHEN v.state = 'trying' THEN $8::bigint END
      FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::bigint[], $5::text[], $6::bigint[], $7::text[])
        v (id, state, tries, next_try_ms, last_answer, ended_ms, note)
      WHERE c.id = ANY (ARRAY[v.id]) RETURNING 1)
    SELECT expect(count(*), $9) FROM changed`,
};
const REMOVE_COMPENSATIONS: Statement = {
  name: "remove_compensations",
  text: "DELETE FROM compensations WHERE attempt_id = ANY($1::bigint[])",
};
const REMOVE_ATTEMPTS: Statement = { name: "remove_attempts", text: "DELETE FROM attempts WHERE id = ANY($1::bigint[])" };
const RETIRE: Statement = {
  name: "retire",
  text: `INSERT INTO retired_orders (order_id, attempt) SELECT * FROM unnest($1::text[], $2::bigint[])
         ON CONFLICT (order_id) DO UPDATE SET attempt = greatest(retired_orders.attempt, excluded.attempt)`,
};
const ADD_KEYS: Statement = {
  name: "add_keys",
  text: `INSERT INTO idempotency_keys (client, key, body_hash, order_id, attempt, expires_ms)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])`,
};
const CHANGE_KEYS: Statement = {
  name: "change_keys",
  text: `
    UPDATE idempotency_keys k SET body_hash = v.body_hash, order_id = v.order_id, attempt = v.attempt, expires_ms = v.expires_ms
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
      v (client, key, body_hash, order_id, attempt, expires_ms)
    WHERE k.key = ANY (ARRAY[v.key]) AND k.client = v.client`,
};
const TAKE_EVENTS: Statement = { name: "take_events", text: "UPDATE outbox SET taken_by = $2 WHERE seq = ANY($1::bigint[])" };
const POSTPONE_EVENTS: Statement = {
  name: "postpone_events",
  text: `UPDATE outbox o SET tries = tries + 1, next_try_ms = v.next_try_ms, taken_by = NULL
         FROM unnest($1::bigint[], $2::bigint[]) v (seq, next_try_ms) WHERE o.seq = ANY (ARRAY[v.seq])`,
};
const GIVE_UP_EVENTS: Statement = {
  name: "give_up_events",
  text: `
    WITH gone AS (DELETE FROM outbox o USING unnest($1::bigint[], $2::text[], $3::bigint[]) v (seq, reason, now_ms) WHERE o.seq = ANY (ARRAY[v.seq])
      RETURNING o.seq, o.id, o.order_id, o.payload, o.created_ms, v.now_ms, v.reason)
    INSERT INTO dead_letters (seq, id, order_id, payload, created_ms, given_up_ms, reason) SELECT * FROM gone`,
};
const REMOVE_EVENTS: Statement = { name: "remove_events", text: "DELETE FROM outbox WHERE seq = ANY($1::bigint[])" };
const PUT_BACK: Statement = {
  name: "put_back_letters",
  text: `
    WITH gone AS (DELETE FROM dead_letters d USING unnest($1::bigint[], $2::bigint[]) v (seq, now_ms) WHERE d.seq = ANY (ARRAY[v.seq])
      RETURNING d.id, d.order_id, d.payload, d.created_ms, v.now_ms)
    INSERT INTO outbox (id, order_id, payload, created_ms, expires_ms, next_try_ms)
    SELECT id, order_id, payload, created_ms, now_ms + ${EVENT_KEPT_MS}, now_ms FROM gone`,
};
const ADD_EVENTS: Statement = {
  name: "add_events",
  text: `
    INSERT INTO outbox (id, order_id, payload, created_ms, expires_ms, next_try_ms)
    SELECT id, order_id, payload, created_ms, created_ms + ${EVENT_KEPT_MS}, created_ms
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY v (id, order_id, payload, created_ms, place) ORDER BY place`,
};
const ADD_ACTIONS: Statement = {
  name: "add_actions",
  text: `INSERT INTO operator_actions (at_ms, actor, action, order_id, detail)
         SELECT at_ms, actor, action, order_id, detail FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
           WITH ORDINALITY v (at_ms, actor, action, order_id, detail, place) ORDER BY place`,
};
const FORGET_ACTIONS: Statement = { name: "forget_actions", text: "DELETE FROM operator_actions WHERE order_id = ANY($1::text[])" };
// What a life that is over held: its events are due for others, nobody waits at it, and its couriers are free.
const RELEASE_EVENTS: Statement = { name: "release_events", text: "UPDATE outbox SET taken_by = NULL WHERE taken_by = $1" };
const RELEASE_WAITERS: Statement = { name: "release_waiters", text: "DELETE FROM waiters WHERE life = $1" };
const FORGET_LIFE: Statement = { name: "forget_life", text: "DELETE FROM nodes WHERE life = $1" };

const COMPENSATION_FIELDS = ["id", "status", "tries", "nextTryMs", "lastAnswer", "endedMs", "note"] as const;
const KEY_FIELDS = ["client", "key", "bodyHash", "orderId", "attempt", "expiresMs"] as const;

/** What the server gave for the rows of a batch. */
export interface Flushed {
  /** Of the attempts that went in: all of them, but where `isBlind`. */
  readonly ids: readonly (readonly [orderId: string, attempt: number, id: number])[];
  /** Of new compensations, by the ids that the batch had for them. */
  readonly compensationIds: ReadonlyMap<number, number>;
}

/**
 * Writes what a batch changed, inside its transaction: a few statements that go out at once. Every node writes its tables in this order and each
 * table's rows in one order, so no two wait for each other. `isBlind`: nothing was looked up for the orders that are accepted, so those
 * that are known do not go in; otherwise one that went in meanwhile at another node fails the batch.
 */
export async function flush(sql: Sql, tables: BatchTables, life: number, isBlind: boolean): Promise<Flushed> {
  const { attempts, compensations, keys, outbox, newlyRetired, newActions, forgottenActions, lifeOver } = tables;
  const write = (statement: Statement, count: number, values: () => readonly unknown[]) =>
    count === 0 ? undefined : sql.rows<never>(statement, values());
  const added = attempts.added.sort((a, b) => (a.orderId < b.orderId ? -1 : 1));
  const changed = [...attempts.changed].sort(([{ id: a = 0 }], [{ id: b = 0 }]) => a - b);
  const changedAttempts = changed.map(([row]) => row);
  const rows = [...compensations.changed];
  const newRows = rows.filter(isNew);
  const changedRows = rows.filter((row) => !isNew(row)).sort((a, b) => a.id - b.id);
  const newKeys = keys.bound(false);
  const changedKeys = keys.bound(true);
  const [ids, given] = await Promise.all([
    write(isBlind ? ADD_UNKNOWN_ATTEMPTS : ADD_ATTEMPTS, added.length, () => [
      ...columns(added, "orderId", "attempt", "amount", "acceptedMs"),
      life,
    ]),
    write(ADD_COMPENSATIONS, newRows.length, () => [...columns(newRows, "attemptId", "step", "status", "nextTryMs"), life]),
    write(CHANGE_ATTEMPTS, changed.length, () => [
      columns(changedAttempts, "id")[0],
      changed.map(([, wasOpenBy]) => wasOpenBy),
      ...columns(changedAttempts, "openBy", "endedMs", "error", "interrupted", "answered", "json"),
      changed.length,
    ]),
    write(ADD_KEYS, newKeys.length, () => columns(newKeys, ...KEY_FIELDS)),
    write(CHANGE_KEYS, changedKeys.length, () => columns(changedKeys, ...KEY_FIELDS)),
    write(CHANGE_COMPENSATIONS, changedRows.length, () => [
      ...columns(changedRows, ...COMPENSATION_FIELDS).map(withoutNul),
      life,
      changedRows.length,
    ]),
    write(REMOVE_COMPENSATIONS, compensations.removed.length, () => [compensations.removed]),
    write(REMOVE_ATTEMPTS, attempts.removed.length, () => [attempts.removed]),
    write(RETIRE, newlyRetired.size, () => [[...newlyRetired.keys()], [...newlyRetired.values()]]),
    write(TAKE_EVENTS, outbox.taken.length, () => [outbox.taken, life]),
    write(POSTPONE_EVENTS, outbox.postponed.length, () => columns(outbox.postponed, 0, 1)),
    write(GIVE_UP_EVENTS, outbox.givenUp.length, () => columns(outbox.givenUp, 0, 1, 2).map(withoutNul)),
    write(REMOVE_EVENTS, outbox.removed.length, () => [outbox.removed]),
    write(PUT_BACK, outbox.putBack.length, () => columns(outbox.putBack, 0, 1)),
    write(ADD_EVENTS, outbox.added.length, () => columns(outbox.added, "id", "orderId", "payload", "createdMs")),
    write(ADD_ACTIONS, newActions.length, () => columns(newActions, 0, 1, 2, 3, 4).map(withoutNul)),
    write(FORGET_ACTIONS, forgottenActions.length, () => [forgottenActions]),
    ...(lifeOver === undefined ? [] : [RELEASE_EVENTS, RELEASE_WAITERS, FORGET_LIFE].map((statement) => sql.rows(statement, [lifeOver]))),
  ]);
  return { ids: ids ?? [], compensationIds: idsOf(newRows, given ?? []) };
}

const READ_ATTEMPTS: Statement = {
  name: "read_added_attempts",
  text: `SELECT a.order_id, a.attempt, a.id FROM unnest($1::text[], $2::bigint[]) v (order_id, attempt)
         JOIN attempts a ON a.order_id = ANY (ARRAY[v.order_id]) AND a.attempt = v.attempt WHERE a.open_by = $3`,
};
const READ_COMPENSATIONS: Statement = {
  name: "read_added_compensations",
  text: "SELECT id, attempt_id, step FROM compensations WHERE attempt_id = ANY($1::bigint[])",
};

/** What the server gave for the rows of a batch that was written, where its reply was lost. */
export async function readFlushed(sql: Sql, { attempts, compensations }: BatchTables, life: number): Promise<Flushed> {
  const newRows = [...compensations.changed].filter(isNew);
  const [ids, given] = await Promise.all([
    sql.rows<[string, number, number]>(READ_ATTEMPTS, [...columns(attempts.added, "orderId", "attempt"), life]),
    sql.rows<[number, number, string]>(READ_COMPENSATIONS, [newRows.map(({ attemptId }) => attemptId)]),
  ]);
  return { ids, compensationIds: idsOf(newRows, given) };
}

function idsOf(rows: readonly CompensationRecord[], given: readonly (readonly [id: number, attemptId: number, step: string])[]) {
  const byRow = new Map(given.map(([id, attemptId, step]) => [`${attemptId} ${step}`, id]));
  return new Map(rows.map(({ id, attemptId, step }) => [id, byRow.get(`${attemptId} ${step}`) as number]));
}

/** PostgreSQL has no text with NUL in it. What people and other servers wrote may have some; all else is JSON, or has a rule. */
function withoutNul(values: readonly unknown[]): unknown[] {
  return values.map((value) => (typeof value === "string" ? value.replaceAll("\0", "\ufffd") : value));
}

/** Fields of rows as columns, as `unnest` wants them. */
function columns<Row>(rows: readonly Row[], ...fields: readonly (keyof Row)[]): unknown[][] {
  return fields.map((field) => rows.map((row) => row[field]));
}
