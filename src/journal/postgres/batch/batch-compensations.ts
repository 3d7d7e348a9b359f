import type { Compensation } from "../../../orders/order-journal.ts";
import type { StepName } from "../../../orders/steps.ts";
import type { DuePage } from "../../../resilience/retry-queue.ts";
import { type CompensationRecord, MemoryCompensations } from "../../memory/compensations.ts";
import type { AttemptsTable } from "../../rules/tables.ts";

// Below all ids of rows.
const FIRST_NEW_ID = -(2 ** 40);
/** Another node had rows in its hands that are due: it may leave some. */
export const AGAIN_MS = 50;

/** What the server said of rows that are due, beside the rows. */
export interface DueRest {
  readonly nextDueMs: number | undefined;
  /** Whether rows were passed over because another node had them in its hands. */
  readonly isSkipping: boolean;
}

/** What a batch knows of compensations, and what it changed. */
export class BatchCompensations extends MemoryCompensations {
  readonly changed: Set<CompensationRecord>;
  readonly removed: number[] = [];
  readonly due = new Map<string, DueRest>();
  readonly #orphans = new Set<number>();
  readonly #elsewhere = new Set<number>();

  constructor(attempts: Pick<AttemptsTable, "byId">) {
    const changed = new Set<CompensationRecord>();
    super(attempts, (row) => changed.add(row), FIRST_NEW_ID);
    this.changed = changed;
  }

  /** A row that another life tries. */
  loadElsewhere(row: CompensationRecord): void {
    this.load(row);
    this.#elsewhere.add(row.id);
  }

  /** A row of a dead life. */
  loadOrphan(row: CompensationRecord): void {
    this.load(row);
    this.#orphans.add(row.id);
  }

  override takeDue(step: StepName, kind: "first" | "again", nowMs: number, limit: number, leastTried: boolean): DuePage<Compensation> {
    const page = super.takeDue(step, kind, nowMs, limit, leastTried);
    const { nextDueMs, isSkipping = false } = this.due.get(`${step} ${kind}`) ?? {};
    const dueMs = isSkipping ? nowMs + AGAIN_MS : nextDueMs;
    return { items: page.items, ...(dueMs !== undefined && { nextDueMs: dueMs }) };
  }

  /** What is done is done, whoever did it. */
  override tried(id: number, nextTryMs: number | null, lastAnswer: string | null, nowMs: number): boolean {
    return (nextTryMs === null || !this.#elsewhere.has(id)) && super.tried(id, nextTryMs, lastAnswer, nowMs);
  }

  protected override isInterrupted(id: number): boolean {
    return this.#orphans.has(id);
  }

  override remove(attemptId: number): void {
    super.remove(attemptId);
    this.removed.push(attemptId);
  }
}

/** Whether a row was added by a batch: the server has not given it an id yet. */
export function isNew({ id }: CompensationRecord): boolean {
  return id < 0;
}
