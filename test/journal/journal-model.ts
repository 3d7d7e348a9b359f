import type { CompensationStatus } from "../../src/orders/compensation-state.ts";
import type { ErrorKind } from "../../src/orders/error-kind.ts";
import {
  type AcceptRequest,
  type AcceptResult,
  ATTEMPTS_SHOWN,
  type OrderRecord,
  type StoredAnswer,
  type StoredAttempt,
} from "../../src/orders/order-journal.ts";
import { STEPS, type StepName } from "../../src/orders/steps.ts";
import { dueAmong, LONGEST_PAUSE_MS } from "./due-model.ts";
import { answerBefore, answerTo } from "./journal-fixture.ts";
import { OutboxModel } from "./outbox-model.ts";

export interface ModelCompensation {
  /** Rises in the order in which they were written. */
  readonly n: number;
  readonly attempt: Attempt;
  readonly step: StepName;
  /** What the journal calls it, once it is known. */
  id?: number;
  status: CompensationStatus;
  tries: number;
  nextTryMs?: number | undefined;
  lastAnswer?: string | undefined;
  endedMs?: number | undefined;
  note?: string;
}

/** How a try ended; without `nextTryMs` it is done. */
export interface ModelTry {
  readonly nextTryMs?: number;
  readonly lastAnswer?: string;
}

export interface Attempt {
  readonly orderId: string;
  readonly attempt: number;
  readonly amount: number;
  readonly acceptedMs: number;
  /** Absent while it runs. */
  ended?: { readonly atMs: number; readonly error: ErrorKind | undefined; readonly interrupted: boolean };
  /** Nobody else may begin: it runs, or its answer has to follow. */
  isOpen: boolean;
  isAnswered: boolean;
  answer?: StoredAnswer;
  compensations: ModelCompensation[];
}

interface Key {
  readonly bodyHash: string;
  readonly expiresMs: number;
  readonly attempt: Attempt;
}

/** What a journal should do, written the obvious way: everything in memory, every question a search. */
export class JournalModel {
  attempts: Attempt[] = [];
  readonly outbox = new OutboxModel();
  readonly #keys = new Map<string, Key>();
  readonly #lastNumbers = new Map<string, number>();
  #lastRow = 0;

  accept({ orderId, amount, key, nowMs }: AcceptRequest): AcceptResult {
    const keyName = key && `${key.client}/${key.key}`;
    const known = keyName === undefined ? undefined : this.#keys.get(keyName);
    // Nobody knows any more whether somebody received the answer of one that was retired.
    const isRetired = known !== undefined && !this.attempts.includes(known.attempt);
    if (key !== undefined && known !== undefined && (isRetired || known.attempt.isOpen || known.attempt.isAnswered)) {
      if (known.bodyHash !== key.bodyHash) return { type: "mismatch" };
      if (!isRetired) return stateOf(known.attempt);
    }
    const latest = this.of(orderId).at(-1);
    const isTaken = latest !== undefined && (latest.isOpen || latest.ended?.error === undefined);
    if (isTaken && latest.amount !== amount) return { type: "conflict" };
    const attempt = isTaken ? latest : this.#add(orderId, amount, nowMs);
    if (key !== undefined && keyName !== undefined) this.#keys.set(keyName, { ...key, attempt });
    if (!isTaken) return { type: "accepted", attempt: attempt.attempt };
    if (!attempt.isOpen) attempt.isAnswered = true;
    return stateOf(attempt);
  }

  /** Returns whether the attempt ran, and ends it then. */
  finish(
    attempt: Attempt,
    error: ErrorKind | undefined,
    isAnswered: boolean,
    compensations: readonly { readonly step: StepName; readonly trying: boolean }[],
    nowMs: number,
  ): boolean {
    if (!attempt.isOpen || attempt.ended !== undefined) return false;
    const isLast = compensations.length === 0;
    this.#end(attempt, error, nowMs, false, isLast ? answerTo(attempt.orderId, error) : answerBefore(attempt.orderId, error));
    attempt.isOpen = !isLast;
    attempt.isAnswered = isLast && isAnswered;
    for (const { step, trying } of compensations) this.#compensate(attempt, step, trying ? "trying" : "pending", nowMs);
    return true;
  }

  /** Returns whether the attempt waited for its answer. */
  answer(attempt: Attempt, isAnswered: boolean, tried: readonly (readonly [ModelCompensation, ModelTry])[], nowMs: number): boolean {
    if (!attempt.isOpen || attempt.ended === undefined) return false;
    attempt.isOpen = false;
    attempt.isAnswered = isAnswered;
    attempt.answer = answerTo(attempt.orderId, attempt.ended.error);
    for (const [compensation, end] of tried) this.compensationTried(compensation, end, nowMs);
    return true;
  }

  closeInterrupted(nowMs: number): number {
    for (const row of this.compensations) if (row.status === "trying") Object.assign(row, { status: "pending", nextTryMs: nowMs });
    // Nobody relies on this order; the model has one to be comparable.
    const open = this.attempts.filter(({ isOpen }) => isOpen).sort((one, other) => (one.orderId < other.orderId ? -1 : 1));
    for (const attempt of open) {
      attempt.isOpen = false;
      if (attempt.ended !== undefined) continue;
      this.#end(attempt, "internal", nowMs, true, interruptedAnswer(attempt.orderId));
      for (const step of STEPS) this.#compensate(attempt, step, "pending", nowMs);
    }
    return open.length;
  }

  get compensations(): ModelCompensation[] {
    return this.attempts.flatMap(({ compensations }) => compensations).sort((one, other) => one.n - other.n);
  }

  takeCompensations(step: StepName, kind: "first" | "again", nowMs: number, limit: number, leastTried: boolean) {
    const waiting = this.compensations.flatMap((row) => {
      const { n, tries, nextTryMs } = row;
      const isAsked = row.status === "pending" && row.step === step && (kind === "first") === (tries === 0);
      return isAsked && nextTryMs !== undefined ? [{ n, tries, nextTryMs, row }] : [];
    });
    const { items, ...next } = dueAmong(waiting, { nowMs, limit, leastTried }, LONGEST_PAUSE_MS.compensation);
    for (const { row } of items) this.take(row);
    return { items: items.map(({ row }) => row), ...next };
  }

  take(row: ModelCompensation): void {
    if (row.status === "pending") Object.assign(row, { status: "trying", nextTryMs: undefined });
  }

  compensationTried(row: ModelCompensation, { nextTryMs, lastAnswer }: ModelTry, nowMs: number): CompensationStatus {
    if (row.status !== "trying") {
      row.lastAnswer = `late: ${lastAnswer ?? "done"}`;
    } else if (nextTryMs === undefined) {
      Object.assign(row, { status: "done", tries: row.tries + 1, lastAnswer: undefined, endedMs: nowMs });
      this.#addEventWhenCompensated(row.attempt, nowMs);
    } else {
      Object.assign(row, { status: "pending", tries: row.tries + 1, lastAnswer, nextTryMs });
    }
    return row.status;
  }

  settle(row: ModelCompensation, note: string, nowMs: number): void {
    if (row.status !== "pending") return;
    Object.assign(row, { status: "settled", nextTryMs: undefined, endedMs: nowMs, note });
    this.#addEventWhenCompensated(row.attempt, nowMs);
  }

  retire(beforeMs: number): void {
    const isOver = ({ ended, isOpen, compensations }: Attempt) =>
      !isOpen &&
      ended?.error !== undefined &&
      ended.atMs < beforeMs &&
      compensations.every(({ endedMs }) => endedMs !== undefined && endedMs < beforeMs);
    this.attempts = this.attempts.filter((attempt) => !isOver(attempt));
  }

  expireKeys(nowMs: number): number {
    const expired = [...this.#keys].filter(([, { expiresMs }]) => expiresMs <= nowMs);
    for (const [name] of expired) this.#keys.delete(name);
    return expired.length;
  }

  find(orderId: string, before = Number.POSITIVE_INFINITY): OrderRecord | undefined {
    const all = this.of(orderId);
    const latest = all.at(-1);
    if (latest === undefined) return undefined;
    const shown = all.filter(({ attempt }) => attempt < before).slice(-ATTEMPTS_SHOWN);
    const attemptsTotal = this.#lastNumbers.get(orderId) ?? 0;
    return { orderId, amount: latest.amount, attemptsTotal, latest: recordOf(latest), attempts: shown.map(recordOf) };
  }

  /** All attempts at an order that are known still, oldest first. */
  of(orderId: string): Attempt[] {
    return this.attempts.filter((attempt) => attempt.orderId === orderId);
  }

  #end(attempt: Attempt, error: ErrorKind | undefined, atMs: number, interrupted: boolean, answer: StoredAnswer): void {
    attempt.ended = { atMs, error, interrupted };
    attempt.answer = answer;
    this.outbox.write(error === undefined ? "order.placed" : "order.failed", attempt, atMs);
  }

  #compensate(attempt: Attempt, step: StepName, status: "pending" | "trying", nowMs: number): void {
    const n = this.#lastRow++;
    attempt.compensations.push({ n, attempt, step, status, tries: 0, nextTryMs: status === "pending" ? nowMs : undefined });
  }

  #addEventWhenCompensated(attempt: Attempt, nowMs: number): void {
    if (attempt.compensations.every(({ endedMs }) => endedMs !== undefined)) this.outbox.write("order.compensated", attempt, nowMs);
  }

  #add(orderId: string, amount: number, acceptedMs: number): Attempt {
    const attempt = (this.#lastNumbers.get(orderId) ?? 0) + 1;
    this.#lastNumbers.set(orderId, attempt);
    const added: Attempt = { orderId, attempt, amount, acceptedMs, isOpen: true, isAnswered: false, compensations: [] };
    this.attempts.push(added);
    return added;
  }
}

function stateOf({ orderId, attempt, isOpen, answer }: Attempt): AcceptResult {
  return isOpen || answer === undefined ? { type: "running", orderId, attempt } : { type: "replayed", answer };
}

function recordOf({ attempt, amount, acceptedMs, ended, answer, compensations }: Attempt): StoredAttempt {
  const record = { attempt, amount, acceptedMs, compensations: compensations.map(({ step, tries, status }) => ({ step, tries, status })) };
  if (ended === undefined || answer === undefined) return record;
  return { ...record, ended: { atMs: ended.atMs, answer: JSON.parse(answer.json), interrupted: ended.interrupted } };
}

function interruptedAnswer(orderId: string): StoredAnswer {
  const steps = STEPS.map((name) => ({ name, status: "error", duration_ms: 0, detail: "internal" }));
  return {
    error: "internal",
    json: JSON.stringify({ status: "error", order_id: orderId, steps, error: { kind: "internal", message: "order failed" } }),
  };
}
