import { STEP_TABLE, STEPS, type StepName } from "../../src/orders/steps.ts";
import type { CallBody } from "./call.ts";

/** What the stand-in did under one call's key. Numbers in lists are positions in the order of everything it ever did. */
export interface LedgerEntry {
  readonly key: string;
  readonly step: StepName;
  readonly orderId: string;
  amount?: number;
  /** Requests that were answered from the ledger, calls and compensations. A request that broke before is in neither. */
  calls: number;
  compensationCalls: number;
  /** When it charged, accepted or assigned. A correct provider does so once at most. */
  acted: readonly number[];
  /** When it refunded, canceled or released what it had done. */
  compensated: readonly number[];
  /** When the first compensation came; from then on the call is refused. */
  tombstoneAt?: number;
  /** The same on the wall clock, in milliseconds since 1970. */
  tombstoneAtMs?: number;
  /** It said no, and says so again to the same key. */
  refusedWith?: number;
  /** Calls that came after the tombstone and were refused. */
  tooLate: number;
  /** Requests that used the key for something else. */
  mismatches: number;
}

/** The whole ledger as data, to be read, sent and balanced. */
export interface LedgerSnapshot {
  readonly entries: readonly LedgerEntry[];
  /** Requests that broke the contract's form, with the reason. */
  readonly malformed: readonly string[];
  /** Things it has yet to do. Balance a ledger only when this is 0. */
  readonly pending: number;
  readonly counts: LedgerCounts;
}

export type LedgerCounts = Readonly<Record<CountName, number>>;

type Acts = { [Step in StepName]: (typeof STEP_TABLE)[Step]["perform" | "compensate"]["acts"] }[StepName];
type CountName = Acts | "tooLate";

// Shared by a million entries that have nothing to list.
const NEVER: readonly number[] = Object.freeze([]);

const CONFLICT = 409;
const MISMATCH = 422;

/** The ledger of a correct, idempotent provider: one entry for each key, compensations are tombstones. */
export class Ledger {
  readonly #entries = new Map<string, LedgerEntry>();
  readonly #malformed: string[] = [];
  readonly #counts = Object.fromEntries([
    ...STEPS.flatMap((step) => [STEP_TABLE[step].perform.acts, STEP_TABLE[step].compensate.acts].map((acts) => [acts, 0])),
    ["tooLate", 0],
  ]) as Record<CountName, number>;
  #now = 0;
  #pending = 0;

  /** Executes a call, or repeats what was said to its key before. Returns the status to answer. `refuseWith`: say no, if it is new. */
  perform(step: StepName, key: string, { order_id: orderId, amount }: CallBody, refuseWith?: number): number {
    const entry = this.#entry(step, key, orderId);
    entry.calls++;
    if (entry.orderId !== orderId || (entry.amount !== undefined && entry.amount !== amount)) {
      entry.mismatches++;
      return MISMATCH;
    }
    if (entry.tombstoneAt !== undefined) {
      entry.tooLate++;
      this.#counts.tooLate++;
      return CONFLICT;
    }
    if (entry.acted.length > 0) return 200;
    if (entry.refusedWith !== undefined) return entry.refusedWith;
    if (amount !== undefined) entry.amount = amount;
    if (refuseWith !== undefined) {
      entry.refusedWith = refuseWith;
      return refuseWith;
    }
    entry.acted = [++this.#now];
    this.#counts[STEP_TABLE[step].perform.acts]++;
    return 200;
  }

  /** Compensates what the call `undoes` did, once, and refuses it from now on. Returns the status to answer. */
  compensate(step: StepName, { order_id: orderId, amount, undoes = "" }: CallBody): number {
    const entry = this.#entry(step, undoes, orderId);
    entry.compensationCalls++;
    const otherAmount = amount !== undefined && entry.amount !== undefined && entry.amount !== amount;
    if (entry.orderId !== orderId || otherAmount) {
      entry.mismatches++;
      return MISMATCH;
    }
    if (entry.tombstoneAt !== undefined) return 200;
    if (amount !== undefined) entry.amount = amount;
    entry.tombstoneAt = ++this.#now;
    entry.tombstoneAtMs = Date.now();
    if (entry.acted.length > 0) {
      entry.compensated = [this.#now];
      this.#counts[STEP_TABLE[step].compensate.acts]++;
    }
    return 200;
  }

  /** A request that is not of the contract's form. */
  malformed(reason: string): void {
    this.#malformed.push(reason);
  }

  /** Something will be done later. Returns how to say that it has been. */
  willAct(): () => void {
    this.#pending++;
    return () => void this.#pending--;
  }

  /** How many things are yet to be done. */
  get pending(): number {
    return this.#pending;
  }

  /** How often it has done what, so far. Costs nothing, however long the ledger is. */
  get counts(): LedgerCounts {
    return { ...this.#counts };
  }

  /** What was done under a call's key, undefined when neither the call nor its compensation ever came. */
  find(step: StepName, key: string): LedgerEntry | undefined {
    const entry = this.#entries.get(key);
    return entry?.step === step ? entry : undefined;
  }

  snapshot(): LedgerSnapshot {
    return { entries: [...this.#entries.values()], malformed: this.#malformed, pending: this.#pending, counts: this.counts };
  }

  /** By the key alone: a call's key ends in its step. */
  #entry(step: StepName, key: string, orderId: string): LedgerEntry {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { key, step, orderId, calls: 0, compensationCalls: 0, acted: NEVER, compensated: NEVER, tooLate: 0, mismatches: 0 };
      this.#entries.set(key, entry);
    }
    return entry;
  }
}
