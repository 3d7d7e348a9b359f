import type { OrderEvent } from "../../src/orders/order-event.ts";
import type { AcceptResult, StoredAnswer, UndoState, UndoTask } from "../../src/orders/order-journal.ts";

/** What the journal's thread is told when it starts. Plain data. */
export interface JournalSettings {
  /** Absolute path, or the URI of an in-memory database that the main thread keeps alive. */
  readonly file: string;
  /** Whether outcomes leave events in the outbox. */
  readonly events: boolean;
  /** How large the database may grow, in pages; absent: as large as the disk lets it. */
  readonly maxPages?: number;
}

/** Why a journal did not open, in words for one line. Absent when it did. */
export interface OpenReply {
  readonly failure?: string;
}

/**
 * One request as it crosses to the journal's thread. Tuples, because a clone of them is half the price of a clone of
 * objects, whose every field name travels too. Each can be carried out a second time without a second effect: when a
 * thread dies with a batch under way, nobody knows whether it was committed, and the batch is simply sent again.
 */
export type Operation =
  | AcceptOperation
  | FinishOperation
  | UndoTriedOperation
  | readonly ["find", orderId: string]
  | readonly ["closeInterrupted", limit: number, nowMs: number]
  | readonly ["pendingUndos", afterId: number, limit: number]
  | readonly ["expireKeys", nowMs: number, limit: number]
  | readonly ["undelivered", afterSeq: number, limit: number]
  | readonly ["delivered", ...seqs: number[]]
  | readonly ["giveUp", seq: number, reason: string, nowMs: number]
  | readonly ["probe", fill: boolean];

/** `requestId` stays in the open attempt: an accept that is sent again finds its own row by it. */
export type AcceptOperation = readonly ["accept", requestId: number, orderId: string, amount: number, nowMs: number, ...key: KeyFields];

export type KeyFields = readonly [] | readonly [client: string, key: string, bodyHash: string, expiresMs: number];

export type FinishOperation = readonly [
  "finish",
  orderId: string,
  attempt: number,
  error: string | null,
  json: string,
  nowMs: number,
  undos: readonly UndoState[] | null,
];

/** `requestId` stays in the task, so that a try is counted once. */
export type UndoTriedOperation = readonly [
  "undoTried",
  requestId: number,
  orderId: string,
  attempt: number,
  step: string,
  done: boolean,
  nowMs: number,
];

export type OperationName = Operation[0];

/** What each operation answers. The answers of the two that every order needs are the smallest. */
export interface Results {
  /** A number: accepted, as this attempt. */
  readonly accept: number | Exclude<AcceptResult, { type: "accepted" }>;
  /** null: stored as given. Otherwise the answer that was stored before. */
  readonly finish: StoredAnswer | null;
  readonly undoTried: null;
  readonly find: FoundOrder | null;
  readonly closeInterrupted: number;
  readonly pendingUndos: UndoTask[];
  readonly expireKeys: number;
  readonly undelivered: OrderEvent[];
  readonly delivered: null;
  readonly giveUp: null;
  readonly probe: null;
}

export type Result = Results[OperationName];

/** An order as its rows tell it; the answers are still text, for the main thread parses faster than a clone travels. */
export interface FoundOrder {
  readonly orderId: string;
  readonly amount: number;
  readonly attempts: readonly FoundAttempt[];
}

export interface FoundAttempt {
  readonly attempt: number;
  readonly amount: number;
  readonly acceptedMs: number;
  readonly ended?: { readonly atMs: number; readonly json: string; readonly interrupted: boolean };
  readonly undos: readonly UndoState[];
}

/** The answer to a batch. */
export interface Reply {
  /** One an operation, in order. Where `unavailable` is set only the reads have theirs. */
  readonly results: readonly (Result | undefined)[];
  /** How long the transaction took until it was durable, milliseconds. Absent when nothing was written. */
  readonly commitMs?: number;
  /** Why the batch could not be written. */
  readonly unavailable?: string;
  /** With `unavailable`: it may have been written all the same, and nobody knows before a later write works. */
  readonly unsure?: boolean;
  /** Operations that could not be carried out for a reason of their own: index and message. Their neighbours were. */
  readonly faults?: readonly (readonly [index: number, message: string])[];
}
