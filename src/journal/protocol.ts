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
import type { DuePage } from "../retries/retry-queue.ts";

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

/** A write as it crosses to the journal's thread. A tuple, because its clone costs half of an object's: field names are cloned too. */
export type Operation =
  | AcceptOperation
  | FinishOperation
  | AnswerOperation
  | readonly ["compensationTried", ...TriedFields, nowMs: number]
  | readonly ["takeCompensations", step: StepName, kind: "first" | "again", ...DueFields]
  | readonly ["takeCompensation", id: number, nowMs: number, actor: string]
  | readonly ["takeEvents", ...DueFields]
  | CloseInterruptedOperation
  | readonly ["settleCompensation", id: number, note: string, nowMs: number, actor: string]
  | readonly ["eventDelivered", seq: number, nowMs: number]
  | readonly ["eventFailed", seq: number, nextTryMs: number]
  | readonly ["giveUpEvent", seq: number, reason: string, nowMs: number]
  | readonly ["giveUpExpired", expiredMs: number, reason: string, nowMs: number, limit: number]
  | readonly ["redeliver", seq: number, nowMs: number, actor: string]
  | readonly ["confirmRestore", orderId: string | null, nowMs: number, limit: number, actor: string]
  | readonly ["noteAction", atMs: number, actor: string, action: OperatorActionName, detail: string | null]
  | readonly ["expireKeys", nowMs: number, limit: number]
  | readonly ["retire", endedBeforeMs: number, after: Cursor, limit: number]
  | readonly ["expireDeadLetters", givenUpBeforeMs: number, limit: number]
  | readonly ["expireActions", beforeMs: number, limit: number];

/** `dueMs`, `life`: on PostgreSQL, where another node's dead life is closed. */
export type CloseInterruptedOperation = readonly ["closeInterrupted", limit: number, nowMs: number, dueMs?: number, life?: number];

export type AcceptOperation = readonly ["accept", orderId: string, amount: number, nowMs: number, ...key: KeyFields];

export type KeyFields = readonly [] | readonly [client: string, key: string, bodyHash: string, expiresMs: number];

export type FinishOperation = readonly [
  "finish",
  orderId: string,
  attempt: number,
  error: string | null,
  json: string,
  answered: 0 | 1,
  nowMs: number,
  compensations: readonly (readonly [step: StepName, trying: boolean])[] | null,
];

export type AnswerOperation = readonly [
  "answer",
  orderId: string,
  attempt: number,
  json: string,
  answered: 0 | 1,
  nowMs: number,
  tried: readonly TriedFields[],
];

/** A try of a compensation that has ended. `nextTryMs` null: it is done. */
export type TriedFields = readonly [id: number, nextTryMs: number | null, lastAnswer: string | null];

/** As `DueRequest`. */
export type DueFields = readonly [nowMs: number, limit: number, leastTried: boolean, underWay: readonly number[]];

export type OperationName = Operation[0];

/** The result of each write. Every order needs the first two, so they are the smallest. */
export interface Results {
  /** A number: accepted, as this attempt. */
  readonly accept: number | Exclude<AcceptResult, { type: "accepted" }>;
  /** The ids of the compensations; null without any. */
  readonly finish: readonly number[] | null;
  readonly answer: null;
  readonly compensationTried: CompensationStatus;
  readonly takeCompensations: DuePage<Compensation>;
  readonly takeCompensation: CompensationRow | null;
  readonly takeEvents: DuePage<OrderEvent>;
  readonly closeInterrupted: number;
  readonly settleCompensation: CompensationRow | null;
  readonly eventDelivered: null;
  readonly eventFailed: null;
  readonly giveUpEvent: null;
  readonly giveUpExpired: number;
  readonly redeliver: boolean;
  readonly confirmRestore: RestoreConfirmed;
  readonly noteAction: null;
  readonly expireKeys: number;
  /** Where to go on; null at the end. */
  readonly retire: Cursor | null;
  readonly expireDeadLetters: number;
  readonly expireActions: number;
}

export type Result = Results[OperationName];

/** A read looks at a bounded number of rows and writes nothing. */
export type Query =
  | readonly ["find", orderId: string, before: number | null, limit: number]
  | readonly ["orders", status: OrderStatus | null, sinceMs: number, untilMs: number, cursor: Cursor | null, limit: number]
  | readonly ["compensations", status: CompensationStatus, cursor: Cursor | null, limit: number]
  | readonly ["compensation", id: number]
  | readonly ["deadLetters", cursor: Cursor | null, limit: number]
  | readonly ["actions", orderId: string, limit: number]
  | readonly ["lastEndBefore", ms: number]
  | readonly ["restore"]
  | readonly ["heldAttempts", cursor: Cursor | null, limit: number]
  | readonly ["backlog"];

export type QueryName = Query[0];

export interface Answers {
  readonly find: FoundOrder | null;
  readonly orders: Page<OrderSummary>;
  readonly compensations: Page<CompensationRow>;
  readonly compensation: CompensationRow | null;
  readonly deadLetters: Page<DeadLetter>;
  readonly actions: readonly OperatorAction[];
  readonly lastEndBefore: number | null;
  readonly restore: RestoreState;
  readonly heldAttempts: Page<HeldAttempt>;
  readonly backlog: Backlog;
}

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
