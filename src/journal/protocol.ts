import type { CompensationStatus } from "../orders/compensation-state.ts";
import type {
  Backlog,
  CompensationRow,
  Cursor,
  DeadLetter,
  HeldAttempt,
  OperatorAction,
  OperatorActionName,
  OrderStatus,
  OrderSummary,
  Page,
  RestoreConfirmed,
  RestoreState,
} from "../orders/operator-journal.ts";
import type { OrderEvent } from "../orders/order-event.ts";
import type { AcceptResult, Compensation, CompensationState } from "../orders/order-journal.ts";
import type { StepName } from "../orders/steps.ts";
import type { DuePage } from "../resilience/retry-queue.ts";

/** The settings of a thread of the journal. Plain data. */
export interface JournalSettings {
  /** Absolute path. */
  readonly file: string;
  /** The writer makes, locks and migrates the file; a reader finds all that done. */
  readonly role: "writer" | "reader";
  /** Whether outcomes leave events in the outbox. */
  readonly events: boolean;
  /** How large the database may grow, in pages; absent: as large as the disk lets it. */
  readonly maxPages?: number;
  /** How long it waits for another process to release the lock; absent: as long as a restart may need. */
  readonly lockWaitMs?: number;
}

/** Why a journal did not open, in words for one line. Absent when it did. */
export interface OpenReply {
  readonly failure?: string;
}

/** The writes of a journal, and the result of each. Every order needs the first two, so these are the smallest. */
export interface Writes {
  /** A number: accepted, as this attempt. */
  accept(orderId: string, amount: number, nowMs: number, ...key: KeyFields): number | Exclude<AcceptResult, { type: "accepted" }>;
  /** The ids of the compensations; null without any. */
  finish(
    orderId: string,
    attempt: number,
    error: string | null,
    json: string,
    answered: 0 | 1,
    nowMs: number,
    compensations: readonly (readonly [step: StepName, trying: boolean])[] | null,
  ): readonly number[] | null;
  answer(orderId: string, attempt: number, json: string, answered: 0 | 1, nowMs: number, tried: readonly TriedFields[]): null;
  compensationTried(...tried: [...TriedFields, nowMs: number]): CompensationStatus;
  takeCompensations(step: StepName, kind: "first" | "again", ...due: DueFields): DuePage<Compensation>;
  takeCompensation(id: number, nowMs: number, actor: string): CompensationRow | null;
  takeEvents(...due: DueFields): DuePage<OrderEvent>;
  /** `dueMs`, `life`: on PostgreSQL, where another node's dead life is closed. */
  closeInterrupted(limit: number, nowMs: number, dueMs?: number, life?: number): number;
  settleCompensation(id: number, note: string, nowMs: number, actor: string): CompensationRow | null;
  eventDelivered(seq: number, nowMs: number): null;
  eventFailed(seq: number, nextTryMs: number): null;
  giveUpEvent(seq: number, reason: string, nowMs: number): null;
  giveUpExpired(expiredMs: number, reason: string, nowMs: number, limit: number): number;
  redeliver(seq: number, nowMs: number, actor: string): boolean;
  confirmRestore(orderId: string | undefined, nowMs: number, limit: number, actor: string): RestoreConfirmed;
  noteAction(atMs: number, actor: string, action: OperatorActionName, detail: string | null): null;
  /** Deletes up to `limit` that expired before. Returns how many; so do the others. */
  expireKeys(nowMs: number, limit: number): number;
  /**
   * Deletes what old orders do not need any more: looks at up to `limit` from `after` on ([] at first). Returns where to go on, null at the
   * end.
   */
  retire(endedBeforeMs: number, after: Cursor, limit: number): Cursor | null;
  expireDeadLetters(givenUpBeforeMs: number, limit: number): number;
  /** Those that are about no order. */
  expireActions(beforeMs: number, limit: number): number;
}

export type KeyFields = readonly [] | readonly [client: string, key: string, bodyHash: string, expiresMs: number];

/** A try of a compensation that has ended. `nextTryMs` null: it is done. */
export type TriedFields = readonly [id: number, nextTryMs: number | null, lastAnswer: string | null];

/** As `DueRequest`. */
export type DueFields = readonly [nowMs: number, limit: number, leastTried: boolean, underWay: readonly number[]];

export type OperationName = keyof Writes;

/** A write as it crosses to the journal's thread. A tuple, because its clone costs half of an object's: field names are cloned too. */
export type OperationOf<Name extends OperationName> = { [One in Name]: readonly [One, ...Parameters<Writes[One]>] }[Name];

export type Operation = OperationOf<OperationName>;

export type Results = { readonly [Name in OperationName]: ReturnType<Writes[Name]> };

export type Result = Results[OperationName];

/** The reads of a journal, and the answer to each. A read looks at a bounded number of rows and writes nothing. */
export interface Reads {
  find(orderId: string, before: number | null, limit: number): FoundOrder | null;
  orders(status: OrderStatus | null, sinceMs: number, untilMs: number, cursor: Cursor | undefined, limit: number): Page<OrderSummary>;
  compensations(status: CompensationStatus, cursor: Cursor | undefined, limit: number): Page<CompensationRow>;
  compensation(id: number): CompensationRow | null;
  deadLetters(cursor: Cursor | undefined, limit: number): Page<DeadLetter>;
  actions(orderId: string, limit: number): readonly OperatorAction[];
  /** When something ended last before a time (wall clock). It may miss some that ended long before the newest. */
  lastEndBefore(ms: number): number | null;
  restore(): RestoreState;
  heldAttempts(cursor: Cursor | undefined, limit: number): Page<HeldAttempt>;
  backlog(): Backlog;
}

export type QueryName = keyof Reads;

export type Query = { [Name in QueryName]: readonly [Name, ...Parameters<Reads[Name]>] }[QueryName];

export type Answers = { readonly [Name in QueryName]: ReturnType<Reads[Name]> };

/** An order as its rows have it. Answers stay text: to parse one on the main thread is cheaper than to clone its object. */
export interface FoundOrder {
  readonly orderId: string;
  readonly attemptsTotal: number;
  readonly latest: FoundAttempt;
  /** Oldest first. */
  readonly attempts: readonly FoundAttempt[];
}

export interface FoundAttempt {
  readonly attempt: number;
  readonly amount: number;
  readonly acceptedMs: number;
  readonly ended?: { readonly atMs: number; readonly json: string; readonly interrupted: boolean };
  readonly compensations: readonly CompensationState[];
}

/** The answer to a batch of writes. */
export type Reply = Committed | Refused | Fatal;

export interface Committed {
  readonly type: "committed";
  /** One result an operation, in order; undefined for those in `faults`. */
  readonly results: readonly (Result | undefined)[];
  /** How long the transaction took until it was durable, milliseconds. Absent when nothing was written. */
  readonly commitMs?: number;
  /** Operations that failed for a reason of their own: index and message. The others were executed. */
  readonly faults?: readonly (readonly [index: number, message: string])[];
  /** Operations that are to be executed with the next batch. */
  readonly again?: readonly number[];
}

/** The batch was not written: it surely had no effect. */
export interface Refused {
  readonly type: "refused";
  readonly reason: string;
}

/** The disk is in doubt: nobody knows whether this batch or an earlier one is durable. The process must end. */
export interface Fatal {
  readonly type: "fatal";
  readonly reason: string;
}

export interface QueryReply {
  readonly answer?: Answers[QueryName];
  /** Why it could not be read. */
  readonly unavailable?: string;
  /** The message of a bug. */
  readonly fault?: string;
}

/** How a backup ended. */
export interface BackupReply {
  readonly bytes?: number;
  /** Why there is none, in words for one line. */
  readonly failure?: string;
  /** The file was there before. */
  readonly exists?: boolean;
}
