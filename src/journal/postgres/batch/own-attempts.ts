import type { AttemptRecord } from "../../memory/attempts.ts";
import type { CompensationRecord } from "../../memory/compensations.ts";
import type { TriedFields } from "../../protocol.ts";
import { isNew } from "./batch-compensations.ts";
import type { BatchTables } from "./batch-tables.ts";
import type { Flushed } from "./write-batch.ts";

/**
 * The attempts that a life has open, and compensations while it tries all of one. Nobody else changes these rows, so they need no look-up.
 */
export class OwnAttempts {
  /** By order. */
  readonly #rows = new Map<string, AttemptRecord>();
  /** By attempt. */
  readonly #trying = new Map<number, readonly CompensationRecord[]>();

  clear(): void {
    this.#rows.clear();
    this.#trying.clear();
  }

  has(orderId: string): boolean {
    return this.#rows.has(orderId);
  }

  /** Whether all compensations of an order's attempt are known, with those that were tried. */
  knowsTried(orderId: string, tried: readonly TriedFields[]): boolean {
    const known = this.#trying.get(this.#rows.get(orderId)?.id ?? 0) ?? [];
    return tried.every(([id]) => known.some((row) => row.id === id));
  }

  /** Gives a batch what is known of an order; its compensations only where nothing is looked up, which would come too late to mend them. */
  load(tables: BatchTables, orderId: string, isBlind: boolean): void {
    const row = this.#rows.get(orderId);
    if (row === undefined) return;
    tables.attempts.load({ ...row });
    if (!isBlind) return;
    for (const compensation of this.#trying.get(row.id as number) ?? []) tables.compensations.load({ ...compensation });
  }

  /** Remembers what a batch has written. */
  keep({ attempts, compensations }: BatchTables, { compensationIds }: Flushed, life: number): void {
    const changed = Map.groupBy(compensations.changed, ({ attemptId }) => attemptId);
    for (const attemptId of changed.keys()) this.#trying.delete(attemptId);
    for (const row of attempts.added) if (row.id !== undefined) this.#rows.set(row.orderId, row);
    for (const row of attempts.changed.keys()) {
      const id = row.id as number;
      if (row.openBy === life) {
        this.#rows.set(row.orderId, row);
        const rows = changed.get(id) ?? [];
        if (rows.every((one) => isNew(one) && one.status === "trying"))
          this.#trying.set(
            id,
            rows.map((one) => ({ ...one, id: compensationIds.get(one.id) as number })),
          );
      } else if (this.#rows.get(row.orderId)?.attempt === row.attempt) {
        this.#rows.delete(row.orderId);
        this.#trying.delete(id);
      }
    }
  }
}
