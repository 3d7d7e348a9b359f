import { type AttemptRecord, MemoryAttempts } from "../../memory/attempts.ts";
import type { FailedAttempt } from "../../rules/tables.ts";

/** What a batch knows of attempts, and what it changed. */
export class BatchAttempts extends MemoryAttempts {
  readonly added: AttemptRecord[] = [];
  /** With the life that had it open when it was read. */
  readonly changed: Map<AttemptRecord, number | null>;
  readonly removed: number[] = [];
  /** Old failed ones, which the rules may retire. */
  old: readonly AttemptRecord[] = [];
  readonly #orphans: AttemptRecord[] = [];

  constructor(life: number) {
    const changed = new Map<AttemptRecord, number | null>();
    super(life, (row) => {
      if (row.id !== undefined && !changed.has(row)) changed.set(row, row.openBy);
    });
    this.changed = changed;
  }

  /** Those of a dead life. */
  override get orphans(): AttemptRecord[] {
    return this.#orphans;
  }

  override failedBefore(): FailedAttempt[] {
    return this.old.map(({ id, orderId, attempt, endedMs }) => [id as number, orderId, attempt, endedMs as number]);
  }

  override remove(id: number): void {
    super.remove(id);
    this.removed.push(id);
  }

  /** The server gives it an id. */
  protected override accept(orderId: string, attempt: number, amount: number, acceptedMs: number): AttemptRecord {
    const row = super.accept(orderId, attempt, amount, acceptedMs);
    this.added.push(row);
    return row;
  }
}
