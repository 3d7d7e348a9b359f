import type { CompensationStatus } from "./compensation-state.ts";
import type { ErrorKind } from "./error-kind.ts";
import type { OrderEvent } from "./order-event.ts";
import type { StepName } from "./steps.ts";

/** Where the next page goes on: what the page before gave. Means something to the journal only, and only for the same list. */
export type Cursor = readonly (number | string)[];

/** `next` is absent on the last page. A page may have fewer items than asked for, even none, and still have a next one. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next?: Cursor;
}

/** How operators name a row of the journal. */
export type RowId = number;

/** What operators ask of the journal, and what they may change. Writes resolve when durable. */
export interface OperatorJournal {
  /**
   * Orders by their latest attempt, newest first: those that run, then by when they ended. `until` is excluded. None is left out that was
   * there when the first page was read; one that changes meanwhile may come twice.
   */
  orders(filter: OrderFilter, cursor: Cursor | undefined, limit: number): Promise<Page<OrderSummary>>;
  /** Reads the id of a row from a path; undefined where the text cannot be an id. */
  rowIdOf(text: string): RowId | undefined;
  /** Oldest first. */
  compensations(status: CompensationStatus, cursor: Cursor | undefined, limit: number): Promise<Page<CompensationRow>>;
  compensation(id: RowId): Promise<CompensationRow | undefined>;
  /**
   * Takes one for a try, due or not. Resolves with its row before; only one that was pending is taken. `actor`, here and below, is kept.
   */
  takeCompensation(id: RowId, nowMs: number, actor: string): Promise<CompensationRow | undefined>;
  /** Marks one as dealt with by hand. Returns its row, undefined where there is none. Changes only one that is pending or held. */
  settleCompensation(id: RowId, note: string, nowMs: number, actor: string): Promise<CompensationRow | undefined>;
  /** Events that were given up, oldest first. */
  deadLetters(cursor: Cursor | undefined, limit: number): Promise<Page<DeadLetter>>;
  /** Puts a dead letter back into the outbox, behind the other events of its order, with its full time again. False where there is none. */
  redeliver(seq: RowId, nowMs: number, actor: string): Promise<boolean>;
  /** Keeps what an operator did that changes nothing in the journal. */
  noteAction(action: OperatorAction): Promise<void>;
  /** What operators did about an order: the newest `ACTIONS_SHOWN`, oldest first. */
  actionsOn(orderId: string): Promise<readonly OperatorAction[]>;
  /** Whether this journal came from a backup, and how much of it is held since then. */
  restore(): Promise<RestoreState>;
  /** Attempts of which something is held, in the order in which they ended. */
  heldAttempts(cursor: Cursor | undefined, limit: number): Promise<Page<HeldAttempt>>;
  /** Lets what is held go on, of one order or of all: up to `limit` attempts. One that the restore closed has failed from then on. */
  confirmRestore(orderId: string | undefined, nowMs: number, limit: number, actor: string): Promise<RestoreConfirmed>;
  /** What waits, and for how long. */
  backlog(): Promise<Backlog>;
  /** Copies the journal as it is now to a new file. Rejects with `BackupExists` or `JournalUnavailable`; then nothing is left of it. */
  backup(file: string): Promise<BackupDone>;
  /** The nodes that live on this journal, by their names. Absent for the journal of one process. */
  readonly nodes?: (() => Promise<readonly NodeState[]>) | undefined;
}

/** A node, from its start until it was stopped or the others saw that it is dead. */
export interface NodeState {
  readonly name: string;
  /** Tells lives of one name apart: a node that starts again begins a new one. */
  readonly life: number;
  /** Of the service. */
  readonly version: string;
  readonly leaseMs: number;
  /** Wall clock. */
  readonly startedMs: number;
  /** Orders that it runs, or whose answers it still has to store. */
  readonly ordersUnderWay: number;
  readonly isThis: boolean;
}

export type OperatorActionName = "retry" | "settle" | "redeliver" | "resume" | "backup" | "confirm";

/** What an operator did. Times are wall clock. */
export interface OperatorAction {
  readonly atMs: number;
  readonly actor: string;
  readonly action: OperatorActionName;
  /** To what, in words. */
  readonly detail?: string;
}

export const ACTIONS_SHOWN = 100;

export interface RestoreState {
  /** Wall clock, of the last time; absent for a journal that was never restored. */
  readonly restoredMs?: number;
  readonly orders: number;
  readonly compensations: number;
}

/** `endedMs` is absent for one that ran when the backup was made: nobody knows how it ended. */
export interface HeldAttempt extends Omit<OrderSummary, "status" | "error"> {
  readonly compensations: readonly Pick<CompensationRow, "id" | "step" | "tries" | "lastAnswer">[];
}

/** How many compensations were let go, and whether nothing more of what was asked for is held. */
export interface RestoreConfirmed {
  readonly compensations: number;
  readonly isAll: boolean;
}

export class BackupExists extends Error {}

export interface OrderFilter {
  readonly status?: OrderStatus;
  /** Orders that ended at this moment or later; of those that run, orders that were accepted then or later. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

/** `compensating`: failed, and something of it is not compensated yet. */
export const ORDER_STATUSES = ["running", "ok", "error", "compensating"] as const;

export type OrderStatus = (typeof ORDER_STATUSES)[number];

export interface OrderSummary {
  readonly orderId: string;
  readonly attempt: number;
  readonly amount: number;
  readonly status: OrderStatus;
  readonly error?: ErrorKind;
  readonly acceptedMs: number;
  readonly endedMs?: number;
}

export interface CompensationRow {
  readonly id: RowId;
  readonly orderId: string;
  readonly attempt: number;
  readonly step: StepName;
  readonly amount: number;
  readonly status: CompensationStatus;
  /** When its attempt failed. */
  readonly sinceMs: number;
  readonly tries: number;
  /** While it is pending. */
  readonly nextTryMs?: number;
  readonly lastAnswer?: string;
  /** When it was done or settled. */
  readonly endedMs?: number;
  readonly note?: string;
}

export interface DeadLetter extends Pick<OrderEvent, "seq" | "id" | "orderId" | "payload" | "createdMs"> {
  readonly givenUpMs: number;
  readonly reason: string;
}

/** What waits in the journal. Times are wall clock, of the oldest; absent where nothing waits. */
export interface Backlog {
  readonly compensations: Readonly<Record<StepName, WaitingCount>>;
  /** How many of these are held since a restore; absent where none is. */
  readonly held?: number;
  readonly events: WaitingCount;
  readonly deadLetters: number;
  /** Size of the database and its log, bytes. */
  readonly bytes: number;
  /** Room that is left for them, bytes; absent where they are on no disk of this machine. */
  readonly freeBytes?: number;
}

export interface WaitingCount {
  readonly count: number;
  readonly sinceMs?: number;
}

export interface BackupDone {
  readonly file: string;
  readonly bytes: number;
  readonly durationMs: number;
}
