import type { AnswerBody } from "./answer.ts";
import type { ErrorKind } from "./error-kind.ts";
import type { StepName } from "./step.ts";

/**
 * What the domain needs written down before it is believed. `journal` implements it on SQLite; every method resolves
 * when its effect is durable. It rejects with `OutcomeUnknown` when nobody knows whether there is one, and with any other
 * error, mostly `JournalUnavailable`, when there surely is none. Repeating a `finish` tells.
 */
export interface OrderJournal {
  /** Takes an order in, or says what is known of its id or key already. One transaction. */
  accept(request: AcceptRequest): Promise<AcceptResult>;
  /**
   * Stores how an attempt ended, its undo tasks and its events, and closes it. One transaction. Storing the same
   * attempt twice keeps the first and gives it back.
   */
  finish(request: FinishRequest): Promise<StoredAnswer>;
  /** Counts a failed try of an undo task, or marks the task done; the last one done writes `order.compensated`. */
  undoTried(request: UndoTried): Promise<void>;
  /** Everything known of an order, undefined when nothing is. */
  find(orderId: string): Promise<OrderRecord | undefined>;
  /**
   * At start: closes up to `limit` attempts that a crash left open, each as failed (`internal`, interrupted) with all its
   * steps to be undone. Returns how many it closed; 0 means none is left.
   */
  closeInterrupted(limit: number, nowMs: number): Promise<number>;
  /** Undo tasks that are not done, in the order they were written, after the task `afterId` (0: from the first). */
  pendingUndos(afterId: number, limit: number): Promise<UndoTask[]>;
  /** Deletes up to `limit` idempotency keys that expired before `nowMs`. Returns how many. */
  expireKeys(nowMs: number, limit: number): Promise<number>;
}

/** The journal could not be written and the request has had no effect: disk full, file broken, locked or closed. */
export class JournalUnavailable extends Error {}

/**
 * The journal cannot be used at this moment, and what it was doing for the request may or may not be durable: its thread
 * died before it answered, or the disk failed in the very commit.
 */
export class OutcomeUnknown extends JournalUnavailable {}

export interface AcceptRequest {
  readonly orderId: string;
  readonly amount: number;
  readonly key?: IdempotencyKey;
  /** Wall clock, milliseconds since 1970. */
  readonly nowMs: number;
}

export interface IdempotencyKey {
  /** Whose key it is; "" while clients are not told apart. */
  readonly client: string;
  readonly key: string;
  /** Of the checked body, so that spacing and the order of fields do not matter. */
  readonly bodyHash: string;
  /** Wall clock; from then on the key is as if it had never been used. */
  readonly expiresMs: number;
}

export type AcceptResult =
  /** A new attempt, the first or one after a failure. A key in the request now belongs to it. */
  | { readonly type: "accepted"; readonly attempt: number }
  /** The attempt that runs, with the same content or under the same key. A key in the request now belongs to it too. */
  | { readonly type: "running"; readonly orderId: string; readonly attempt: number }
  | { readonly type: "replayed"; readonly answer: StoredAnswer }
  /** The id is placed, or being placed, with other content. */
  | { readonly type: "conflict" }
  /** The key was used with another body. Looked at before anything else. */
  | { readonly type: "mismatch" };

export interface StoredAnswer {
  /** Absent for a placed order. */
  readonly error?: ErrorKind;
  /** The body as it was, or will be, sent. */
  readonly json: string;
}

export interface FinishRequest {
  readonly orderId: string;
  readonly attempt: number;
  readonly answer: StoredAnswer;
  readonly undos: readonly UndoState[];
  readonly nowMs: number;
}

/** A step of a failed attempt that had to be undone, in the order of undoing. */
export interface UndoState {
  readonly step: StepName;
  readonly done: boolean;
  /** How often it has been tried. */
  readonly tries: number;
}

export interface UndoTask {
  readonly id: number;
  readonly orderId: string;
  readonly attempt: number;
  readonly amount: number;
  readonly step: StepName;
  readonly tries: number;
}

export interface UndoTried {
  readonly orderId: string;
  readonly attempt: number;
  readonly step: StepName;
  readonly done: boolean;
  readonly nowMs: number;
}

export interface OrderRecord {
  readonly orderId: string;
  readonly amount: number;
  /** Oldest first; never empty. */
  readonly attempts: readonly AttemptRecord[];
}

export interface AttemptRecord {
  readonly attempt: number;
  readonly amount: number;
  readonly acceptedMs: number;
  /** Absent while it runs. */
  readonly ended?: { readonly atMs: number; readonly answer: AnswerBody; readonly interrupted: boolean };
  readonly undos: readonly UndoState[];
}
