import { type CompensationStatus, TRANSITIONS, type Transition } from "../../orders/compensation-state.ts";
import type { CompensationRow } from "../../orders/operator-journal.ts";
import type { Compensation, CompensationState } from "../../orders/order-journal.ts";
import { perStep, type StepName } from "../../orders/steps.ts";
import type { DuePage } from "../../resilience/retry-queue.ts";
import { duePage, longestCompensationPauseMs } from "../rules/due.ts";
import { type AttemptsTable, type CompensationsTable, compensationRow } from "../rules/tables.ts";

export interface CompensationRecord {
  readonly id: number;
  readonly attemptId: number;
  readonly step: StepName;
  status: CompensationStatus;
  tries: number;
  nextTryMs: number | null;
  lastAnswer: string | null;
  endedMs: number | null;
  note: string | null;
}

/** Steps of failed attempts that have to be compensated or have been. */
export class MemoryCompensations implements CompensationsTable {
  readonly #attempts: Pick<AttemptsTable, "byId">;
  readonly #rows = new Map<number, CompensationRecord>();
  readonly #byAttempt = new Map<number, CompensationRecord[]>();
  /** By the steps of this version: nodes of another one may have others, which nobody here tries. */
  readonly #pending: Partial<Record<StepName, Set<CompensationRecord>>> = perStep(() => new Set());
  readonly #onChange: ((row: CompensationRecord) => void) | undefined;
  #lastId: number;

  /** `onChange`: a row was added or changed. Ids are given from `firstId` on. */
  constructor(attempts: Pick<AttemptsTable, "byId">, onChange?: (row: CompensationRecord) => void, firstId = 1) {
    this.#attempts = attempts;
    this.#onChange = onChange;
    this.#lastId = firstId - 1;
  }

  /** A row that is there already, as another store has it. */
  load(row: CompensationRecord): void {
    if (!this.#rows.has(row.id)) this.#put(row);
  }

  add(attemptId: number, step: StepName, status: "pending" | "trying" | "held", nowMs: number): number {
    const id = ++this.#lastId;
    const nextTryMs = status === "pending" ? nowMs : null;
    const row: CompensationRecord = { id, attemptId, step, status, tries: 0, nextTryMs, lastAnswer: null, endedMs: null, note: null };
    this.#put(row);
    this.#onChange?.(row);
    return id;
  }

  take(id: number): void {
    this.#change(id, "taken", {});
  }

  takeDue(step: StepName, kind: "first" | "again", nowMs: number, limit: number, leastTried: boolean): DuePage<Compensation> {
    const rows = Iterator.from(this.#pending[step] ?? []).filter(({ tries }) => (tries === 0) === (kind === "first"));
    const { items, ...next } = duePage(rows, nowMs, limit, leastTried, longestCompensationPauseMs);
    const taken = items.map((row) => this.#compensation(row));
    for (const { id } of items) this.take(id);
    return { items: taken, ...next };
  }

  tried(id: number, nextTryMs: number | null, lastAnswer: string | null, nowMs: number): boolean {
    const row = this.#rows.get(id);
    const changed =
      nextTryMs === null ? this.#change(id, "done", { endedMs: nowMs }) : this.#change(id, "failed", { nextTryMs, lastAnswer });
    if (changed && row !== undefined) row.tries++;
    return changed;
  }

  interrupt(nowMs: number): void {
    for (const id of this.#rows.keys()) if (this.isInterrupted(id)) this.#change(id, "interrupted", { nextTryMs: nowMs });
  }

  /** Whether who tried it has ended. */
  protected isInterrupted(_id: number): boolean {
    return true;
  }

  answeredLate(id: number, lastAnswer: string): void {
    const row = this.#rows.get(id);
    if (row === undefined) return;
    row.lastAnswer = lastAnswer;
    this.#onChange?.(row);
  }

  settle(id: number, note: string, nowMs: number): boolean {
    return this.#change(id, "settled", { endedMs: nowMs, note });
  }

  row(id: number): CompensationRow | null {
    const row = this.#rows.get(id);
    return row === undefined ? null : shown(row, this.#attempts);
  }

  attemptOf(id: number): number {
    return (this.#rows.get(id) as CompensationRecord).attemptId;
  }

  of(attemptId: number): CompensationState[] {
    return (this.#byAttempt.get(attemptId) ?? []).map(({ step, tries, status }) => ({ step, tries, status }));
  }

  isAnyOpen(attemptId: number, atMs = Number.MAX_SAFE_INTEGER): boolean {
    return (this.#byAttempt.get(attemptId) ?? []).some(({ endedMs }) => endedMs === null || endedMs >= atMs);
  }

  remove(attemptId: number): void {
    for (const { id } of this.#byAttempt.get(attemptId) ?? []) this.#rows.delete(id);
    this.#byAttempt.delete(attemptId);
  }

  /** Those after an id that are wanted, by id, rising. For lists. */
  all(after: number, isWanted: (row: Pick<CompensationRecord, "status" | "endedMs">) => boolean): IteratorObject<CompensationRow> {
    const found = this.#rows.values().filter((row) => row.id > after && isWanted(row));
    return found.map((row) => shown(row, this.#attempts));
  }

  /** Lets what is held of an attempt go on: due from `nowMs` on. Returns how many. */
  confirm(attemptId: number, nowMs: number): number {
    const rows = this.#byAttempt.get(attemptId) ?? [];
    return rows.filter(({ id }) => this.#change(id, "confirmed", { nextTryMs: nowMs })).length;
  }

  #put(row: CompensationRecord): void {
    this.#rows.set(row.id, row);
    const siblings = this.#byAttempt.get(row.attemptId);
    if (siblings === undefined) this.#byAttempt.set(row.attemptId, [row]);
    else siblings.push(row);
    if (row.status === "pending") this.#pending[row.step]?.add(row);
  }

  #compensation({ id, attemptId, step, tries }: CompensationRecord): Compensation {
    const { orderId, attempt, amount } = this.#attempts.byId(attemptId);
    return { id, orderId, attempt, amount, step, tries };
  }

  /** Returns whether the table of transitions allows it. */
  #change(id: number, transition: Transition, { nextTryMs = null, ...more }: Partial<CompensationRecord>): boolean {
    const row = this.#rows.get(id);
    const { from, to } = TRANSITIONS[transition];
    if (row === undefined || !(from as readonly CompensationStatus[]).includes(row.status)) return false;
    const pending = this.#pending[row.step];
    pending?.delete(row);
    Object.assign(row, more, { status: to, nextTryMs, ...(to === "done" && { lastAnswer: null }) });
    if (to === "pending") pending?.add(row);
    this.#onChange?.(row);
    return true;
  }
}

function shown(row: CompensationRecord, attempts: Pick<AttemptsTable, "byId">): CompensationRow {
  const { id, attemptId, step, status, tries, nextTryMs, lastAnswer, endedMs, note } = row;
  const { orderId, attempt, amount, endedMs: sinceMs } = attempts.byId(attemptId);
  return compensationRow([id, orderId, attempt, step, amount, sinceMs, status, tries, nextTryMs, lastAnswer, endedMs, note]);
}
