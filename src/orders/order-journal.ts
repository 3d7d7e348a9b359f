import type { DuePage, DueRequest } from "../resilience/retry-queue.ts";
import type { AnswerBody } from "./answer.ts";
import type { CompensationStatus } from "./compensation-state.ts";
import type { ErrorKind } from "./error-kind.ts";
import type { CompensationRow } from "./operator-journal.ts";
import type { StepName } from "./steps.ts";

/**
 * What the domain needs stored before it relies on it. Every write resolves when its effect is durable and rejects, mostly with
 * `JournalUnavailable`, when it surely has none. Where nobody could know, neither happens: the process ends and the next start reads.
 */
export interface OrderJournal {
  /** Takes an order in, or says what is known of its id or key already. One transaction. */
  accept(request: AcceptRequest): Promise<AcceptResult>;
  /**
   * Stores how an attempt ended, its compensations and its events, in one transaction. With compensations it stays closed to others until
   * `answer`. Resolves with their ids, in their order.
   */
  finish(request: FinishRequest): Promise<readonly number[]>;
  /** Stores the answer of an attempt with compensations and what their first tries came to, and closes it. One transaction. */
  answer(request: AnswerRequest): Promise<void>;
  /**
   * Stores how a try ended; the last one done writes `order.compensated`. Resolves with the row's state. Where the try was not under way
   * any more the answer is recorded, and nothing else happens.
   */
  compensationTried(tried: CompensationTried, nowMs: number): Promise<CompensationStatus>;
  /** Takes compensations of a step that are due: never tried ones (`first`) or others (`again`). They are `trying` from then on. */
  takeCompensations(step: StepName, kind: "first" | "again", request: DueRequest): Promise<DuePage<Compensation>>;
  /** The newest attempts at an order, or those before the attempt `before`: at most `ATTEMPTS_SHOWN`. Undefined for an unknown order. */
  find(orderId: string, before?: number): Promise<OrderRecord | undefined>;
  /** Closes up to `limit` attempts that a crash left open, as failed, with all steps to be compensated. Returns how many. */
  closeInterrupted(limit: number, nowMs: number): Promise<number>;
}

/** The journal could not be written and the request has had no effect: disk full, file read-only, locked or closed. */
export class JournalUnavailable extends Error {}

/** The server of the journal cannot be reached now. What was asked for has had no effect. */
export class JournalUnreachable extends JournalUnavailable {}

/** Too many reads wait already. */
export class JournalBusy extends JournalUnavailable {}

export const ATTEMPTS_SHOWN = 20;

export interface AcceptRequest {
  readonly orderId: string;
  readonly amount: number;
  readonly key?: IdempotencyKey;
  /** Wall clock, milliseconds since 1970. */
  readonly nowMs: number;
}

export interface IdempotencyKey {
  /** Whose key it is; "" without API keys. */
  readonly client: string;
  readonly key: string;
  /** Of the checked body, so that spacing and the order of fields do not matter. */
  readonly bodyHash: string;
  /** Wall clock; from then on the key may be deleted, and is then as if it had never been used. */
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
  /** Something of its latest attempt is held since a restore. */
  | { readonly type: "held" }
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
  /** Whether somebody receives this answer: a key holds no other. False where compensations make another one of it. */
  readonly answered: boolean;
  readonly compensations: readonly NewCompensation[];
  readonly nowMs: number;
}

export interface NewCompensation {
  readonly step: StepName;
  /** Its first try begins as soon as the row is durable. */
  readonly trying: boolean;
}

export interface AnswerRequest extends Omit<FinishRequest, "answer" | "compensations"> {
  readonly json: string;
  readonly tried: readonly CompensationTried[];
}

/** One to be tried; `tries`: those before. */
export type Compensation = Pick<CompensationRow, "id" | "orderId" | "attempt" | "amount" | "step" | "tries">;

export interface CompensationTried {
  readonly id: number;
  readonly step: StepName;
  /** When it is to be tried again, wall clock; absent when it is done. */
  readonly nextTryMs?: number;
  /** What the provider said, in a word or two. */
  readonly lastAnswer?: string;
}

export interface OrderRecord {
  readonly orderId: string;
  readonly amount: number;
  readonly attemptsTotal: number;
  readonly latest: StoredAttempt;
  /** Oldest first. Empty where all are at or after the attempt that was asked for. */
  readonly attempts: readonly StoredAttempt[];
}

export interface StoredAttempt {
  readonly attempt: number;
  readonly amount: number;
  readonly acceptedMs: number;
  /** Absent while it runs. */
  readonly ended?: { readonly atMs: number; readonly answer: AnswerBody; readonly interrupted: boolean };
  readonly compensations: readonly CompensationState[];
}

export type CompensationState = Pick<CompensationRow, "step" | "tries" | "status">;
