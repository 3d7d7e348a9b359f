import type { CompensationRecord } from "../../memory/compensations.ts";
import { EVENT_KEPT_MS } from "../../rules/event-payload.ts";
import { type Sql, statement } from "../sql.ts";
import { isNew } from "./batch-compensations.ts";
import type { BatchTables } from "./batch-tables.ts";
import { bigints, texts, withoutNul } from "./binary-array.ts";

const PARAMETERS = 37;
const WRITE = statement("write_batch")`
    SELECT * FROM write_batch(${Array.from({ length: PARAMETERS }, (_, index) => `$${index + 1}`).join(", ")})`;

/** What the server gave for the rows of a batch. */
export interface Flushed {
  /** Of the attempts that went in: all of them, but where nothing was looked up. */
  readonly ids: readonly (readonly [orderId: string, attempt: number, id: number])[];
  /** Of new compensations, by the ids that the batch had for them. */
  readonly compensationIds: ReadonlyMap<number, number>;
}

/** Writes attempts, keys, compensations and events: what nearly all batches change, in one statement. Parameters as `flush` has them. */
export async function writeBatch(sql: Sql, tables: BatchTables, life: number, blindBatch: number | undefined): Promise<Flushed> {
  const { attempts, compensations, keys, outbox } = tables;
  const newAttempts = attempts.added.sort((a, b) => (a.orderId < b.orderId ? -1 : 1));
  const changedAttempts = [...attempts.changed].sort(([{ id: a = 0 }], [{ id: b = 0 }]) => a - b);
  const newKeys = keys.bound(false);
  const rows = [...compensations.changed];
  const addedCompensations = rows.filter(isNew);
  const changedCompensations = rows.filter((row) => !isNew(row)).sort((a, b) => a.id - b.id);
  // In the order of the function's parameters.
  const given = await sql.rows<[orderId: string | null, step: string | null, number: number, id: number]>(WRITE, [
    life,
    blindBatch ?? null,
    blindBatch !== undefined,
    texts(newAttempts, ({ orderId }) => orderId),
    bigints(newAttempts, ({ attempt }) => attempt),
    bigints(newAttempts, ({ amount }) => amount),
    bigints(newAttempts, ({ acceptedMs }) => acceptedMs),
    texts(newKeys, ({ client }) => client),
    texts(newKeys, ({ key }) => key),
    texts(newKeys, ({ bodyHash }) => bodyHash),
    texts(newKeys, ({ orderId }) => orderId),
    bigints(newKeys, ({ attempt }) => attempt),
    bigints(newKeys, ({ expiresMs }) => expiresMs),
    bigints(addedCompensations, ({ attemptId }) => attemptId),
    texts(addedCompensations, ({ step }) => step),
    texts(addedCompensations, ({ status }) => status),
    bigints(addedCompensations, ({ nextTryMs }) => nextTryMs),
    bigints(changedAttempts, ([{ id = 0 }]) => id),
    bigints(changedAttempts, ([, wasOpenBy]) => wasOpenBy),
    bigints(changedAttempts, ([{ openBy }]) => openBy),
    bigints(changedAttempts, ([{ endedMs }]) => endedMs),
    texts(changedAttempts, ([{ error }]) => error),
    bigints(changedAttempts, ([{ interrupted }]) => interrupted),
    bigints(changedAttempts, ([{ answered }]) => answered),
    texts(changedAttempts, ([{ json }]) => json),
    bigints(changedCompensations, ({ id }) => id),
    texts(changedCompensations, ({ status }) => status),
    bigints(changedCompensations, ({ tries }) => tries),
    bigints(changedCompensations, ({ nextTryMs }) => nextTryMs),
    texts(changedCompensations, ({ lastAnswer }) => withoutNul(lastAnswer)),
    bigints(changedCompensations, ({ endedMs }) => endedMs),
    texts(changedCompensations, ({ note }) => withoutNul(note)),
    texts(outbox.added, ({ id }) => id),
    texts(outbox.added, ({ orderId }) => orderId),
    texts(outbox.added, ({ payload }) => payload),
    bigints(outbox.added, ({ createdMs }) => createdMs),
    EVENT_KEPT_MS,
  ]);
  const ids: Flushed["ids"][number][] = [];
  const compensationIds: [number, number, string][] = [];
  for (const [orderId, step, number, id] of given) {
    if (orderId !== null) ids.push([orderId, number, id]);
    else if (step !== null) compensationIds.push([id, number, step]);
  }
  return { ids, compensationIds: idsOf(addedCompensations, compensationIds) };
}

const READ_ATTEMPTS = statement("read_added_attempts")`
    SELECT a.order_id, a.attempt, a.id FROM unnest($1::text[], $2::bigint[]) v (order_id, attempt)
         JOIN attempts a ON a.order_id = ANY (ARRAY[v.order_id]) AND a.attempt = v.attempt WHERE a.open_by = $3`;
const READ_COMPENSATIONS = statement("read_added_compensations")`
    SELECT id, attempt_id, step FROM compensations WHERE attempt_id = ANY($1::bigint[])`;

/** What the server gave for the rows of a batch that was written, where its reply was lost. */
export async function readFlushed(sql: Sql, { attempts, compensations }: BatchTables, life: number): Promise<Flushed> {
  const addedCompensations = [...compensations.changed].filter(isNew);
  const names = [attempts.added.map(({ orderId }) => orderId), attempts.added.map(({ attempt }) => attempt)];
  const [ids, given] = await Promise.all([
    sql.rows<[string, number, number]>(READ_ATTEMPTS, [...names, life]),
    sql.rows<[number, number, string]>(READ_COMPENSATIONS, [addedCompensations.map(({ attemptId }) => attemptId)]),
  ]);
  return { ids, compensationIds: idsOf(addedCompensations, given) };
}

function idsOf(rows: readonly CompensationRecord[], given: readonly (readonly [id: number, attemptId: number, step: string])[]) {
  const byRow = new Map(given.map(([id, attemptId, step]) => [`${attemptId} ${step}`, id]));
  return new Map(rows.map(({ id, attemptId, step }) => [id, byRow.get(`${attemptId} ${step}`) as number]));
}
