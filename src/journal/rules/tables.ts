import type { CompensationStatus } from "../../orders/compensation-state.ts";
import type { CompensationRow, OperatorActionName } from "../../orders/operator-journal.ts";
import type { OrderEvent, OrderEventType } from "../../orders/order-event.ts";
import type { Compensation, CompensationState } from "../../orders/order-journal.ts";
import type { StepName } from "../../orders/steps.ts";
import type { DuePage } from "../../resilience/retry-queue.ts";

/** What the rules need of a store, which decides nothing. Rows are tuples: an object per row is a tenth of what a commit costs. */
export interface Tables {
  readonly open: OpenAttemptsTable;
  readonly attempts: AttemptsTable;
  readonly retired: RetiredOrdersTable;
  readonly keys: KeysTable;
  readonly compensations: CompensationsTable;
  readonly outbox: OutboxTable;
  readonly held: HeldTable;
  readonly restores: RestoresTable;
  readonly actions: ActionsTable;
}

/** `interrupted` of an attempt that a restore closed: nobody has been told yet that it failed. */
export const CLOSED_BY_RESTORE = 2;

/** Compensations that are held since a restore, until an operator has let them go on or settled them. */
export interface HeldTable {
  /** Whether something of an attempt is held. */
  isAny(attemptId: number): boolean;
  /** Up to `limit` attempts with something held, by their id, after one of them. */
  attempts(after: number, limit: number): number[];
  /** Up to `limit` such attempts at one order. */
  attemptsAt(orderId: string, limit: number): number[];
  /** Lets all of an attempt go on: due from `nowMs` on. Returns how many. */
  confirm(attemptId: number, nowMs: number): number;
}

/** Where numbers of attempts went on after the journal was made of a backup. */
export interface RestoresTable {
  /** The first id of each time, newest first. Since then neither ids of rows nor numbers of attempts are below it. */
  readonly firstIds: readonly number[];
}

/** What operators did, and who. Written in the transaction of the act where the act is a write. */
export interface ActionsTable {
  /** `orderId` null: about no order, or about one that the journal does not have any more, with which it could not be deleted. */
  add(atMs: number, actor: string, action: OperatorActionName, orderId: string | null, detail: string | null): void;
  removeOf(orderId: string): void;
  /** Deletes up to `limit` about no order that are older than a time. Returns how many. */
  expire(beforeMs: number, limit: number): number;
}

export type OpenAttempt = [attempt: number, amount: number, acceptedMs: number];

/** Attempts that run, one an order. Small: what ends is taken out. */
export interface OpenAttemptsTable {
  get(orderId: string): OpenAttempt | undefined;
  /** Returns whether it was added: false where the order has one. */
  add(orderId: string, attempt: number, amount: number, acceptedMs: number): boolean;
  remove(orderId: string): void;
  /** Up to `limit` of them. */
  some(limit: number): [orderId: string, ...OpenAttempt][];
}

export type Ending = [endedMs: number, error: string | null, interrupted: number, answered: number, json: string];

export type EndedAttempt = [id: number, ...OpenAttempt, ...Ending];

export type FailedAttempt = [id: number, orderId: string, attempt: number, endedMs: number];

/**
 * Attempts that have ended. A failed one gets its answer after its compensations were tried, and is deleted when it is old. `answered`:
 * somebody received the answer, or was waiting for it when it was stored.
 */
export interface AttemptsTable {
  one(orderId: string, attempt: number): EndedAttempt | undefined;
  latest(orderId: string): EndedAttempt | undefined;
  /** There is one of that id. */
  byId(id: number): { orderId: string; amount: number; attempt: number; error: string | null; interrupted: number; endedMs: number };
  /** The newest of those before an attempt, newest first. */
  before(orderId: string, attempt: number, limit: number): EndedAttempt[];
  /** Returns the row's id. */
  add(orderId: string, ...attempt: [...OpenAttempt, ...Ending]): number;
  /** Returns whether the attempt has ended. */
  answer(orderId: string, attempt: number, answered: 0 | 1, json: string): boolean;
  /** Somebody is told now that an attempt failed which a restore closed. */
  told(id: number): void;
  /** Failed attempts that ended before a time and come after one of them, oldest first. */
  failedBefore(endedBeforeMs: number, afterEndedMs: number, afterId: number, limit: number): FailedAttempt[];
  remove(id: number): void;
}

/**
 * Orders whose last failed attempt was deleted, with its number. The next one counts on from there: providers may still know the keys
 * before.
 */
export interface RetiredOrdersTable {
  /** Known without a look into the table: every order asks. */
  readonly isEmpty: boolean;
  /** The last attempt, 0 for an order that was never retired. */
  lastAttempt(orderId: string): number;
  /** A later number that is there stays. */
  put(orderId: string, attempt: number): void;
}

export type KnownKey = [bodyHash: string, orderId: string, attempt: number];

/** Which attempt a client's key belongs to. */
export interface KeysTable {
  /** One that has expired stands until it is deleted. */
  get(client: string, key: string): KnownKey | undefined;
  /** Stores the attempt that a key belongs to from now on, whatever it belonged to before. */
  put(client: string, key: string, bodyHash: string, expiresMs: number, orderId: string, attempt: number): void;
  /** Deletes up to `limit` that have expired. Returns how many. */
  expire(nowMs: number, limit: number): number;
}

/** A compensation with its attempt, as a store reads it. */
export type CompensationFields = [
  id: number,
  orderId: string,
  attempt: number,
  step: StepName,
  amount: number,
  sinceMs: number,
  status: CompensationStatus,
  tries: number,
  nextTryMs: number | null,
  lastAnswer: string | null,
  endedMs: number | null,
  note: string | null,
];

/** As operators see it: without what there is not. */
export function compensationRow(fields: CompensationFields): CompensationRow {
  const [id, orderId, attempt, step, amount, sinceMs, status, tries, nextTryMs, lastAnswer, endedMs, note] = fields;
  const row: CompensationRow = { id, orderId, attempt, step, amount, status, sinceMs, tries };
  const done = { ...(endedMs !== null && { endedMs }), ...(note !== null && { note }) };
  return { ...row, ...(nextTryMs !== null && { nextTryMs }), ...(lastAnswer !== null && { lastAnswer }), ...done };
}

/** Steps of failed attempts that have to be compensated or have been. A row is open until it is done or settled. */
export interface CompensationsTable {
  /** One that is pending is due from `nowMs` on. Returns its id. */
  add(attemptId: number, step: StepName, status: "pending" | "trying" | "held", nowMs: number): number;
  /** Does nothing to one that is not pending. */
  take(id: number): void;
  /** Takes up to `limit` that are due. */
  takeDue(step: StepName, kind: "first" | "again", nowMs: number, limit: number, leastTried: boolean): DuePage<Compensation>;
  /** Stores how a try ended; `nextTryMs` null: it is done. Returns whether it was under way. */
  tried(id: number, nextTryMs: number | null, lastAnswer: string | null, nowMs: number): boolean;
  /** The process that tried them has ended. */
  interrupt(nowMs: number): void;
  answeredLate(id: number, lastAnswer: string): void;
  /** Returns whether it could be settled. */
  settle(id: number, note: string, nowMs: number): boolean;
  /** Null where there is none of that id. */
  row(id: number): CompensationRow | null;
  /** There is one of that id. */
  attemptOf(id: number): number;
  /** In the order in which they were written. */
  of(attemptId: number): CompensationState[];
  /** Whether one is not done nor settled, or was not before `atMs`. */
  isAnyOpen(attemptId: number, atMs?: number): boolean;
  /** All of an attempt. */
  remove(attemptId: number): void;
}

/** Events that wait for their delivery, and those that were given up. Only the first event of each order has a next try. */
export interface OutboxTable {
  /** Whether `add` adds. */
  readonly isEnabled: boolean;
  add(type: OrderEventType, orderId: string, amount: number, attempt: number, error: string | null, nowMs: number): void;
  due(nowMs: number, limit: number, leastTried: boolean, except: readonly number[]): DuePage<OrderEvent>;
  /** Does nothing to one that waits for an earlier event of its order. */
  failed(seq: number, nextTryMs: number): void;
  /** Delivered: the next event of its order is due from now on. */
  remove(seq: number, nowMs: number): void;
  giveUp(seq: number, reason: string, nowMs: number): void;
  /** Up to `limit`, in the order in which they were written, with when their time is over. */
  oldest(limit: number): readonly (readonly [seq: number, expiresMs: number])[];
  /** Puts a dead letter back, behind all events of its order. Returns that order, undefined where there was none. */
  redeliver(seq: number, nowMs: number): string | undefined;
  /** Deletes dead letters that were given up before, up to `limit` of the oldest. Returns how many. */
  expireDeadLetters(givenUpBeforeMs: number, limit: number): number;
}
