import type { CancelCause } from "../../../orders/cancel-cause.ts";
import { type OrderOutcome, outcomeOfSteps, type StepReport } from "../../../orders/outcome.ts";
import type { StepOutcome } from "../../../orders/step.ts";
import { STEPS, type StepName } from "../../../orders/steps.ts";

/** How a step ended, as the engine stores it. Times are milliseconds since 1970, with fractions. */
export interface StepRecord {
  readonly outcome: StepOutcome;
  /** Since the attempt began on the node where the step ended. */
  readonly durationMs: number;
  readonly endedMs: number;
  readonly startedMs?: number;
  readonly threadId?: number;
  /** Why the attempt was canceled; absent where it was not when this step ended. The step's own failure counts. */
  readonly cause?: CancelCause;
}

/**
 * How an order ended, from the records alone, so that every node comes to the same outcome. `localMs` converts a record's time to this
 * process's clock. `canceledAtMs`: when the order was canceled, on that clock, where this node knows.
 */
export function outcomeOf(
  records: readonly StepRecord[],
  startedAtMs: number,
  localMs: (epochMs: number) => number,
  canceledAtMs: number | undefined,
): OrderOutcome {
  const inTime = records.map((_, index) => index).toSorted((a, b) => (records[a]?.endedMs ?? 0) - (records[b]?.endedMs ?? 0));
  // All records of one execution have the same cause. Of several executions the one that ended a step first counts.
  const cause = inTime.map((index) => records[index]?.cause).find((each) => each !== undefined);
  const firstFailure = inTime.find((index) => isFailure(records[index]?.outcome));
  const steps = STEPS.map((name, index) => reportOf(name, records[index] as StepRecord, cause, localMs));
  return outcomeOfSteps(steps, startedAtMs, firstFailure, cause, canceledAtMs);
}

function reportOf(
  name: StepName,
  { outcome, durationMs, endedMs, startedMs, threadId }: StepRecord,
  cause: CancelCause | undefined,
  localMs: (epochMs: number) => number,
): StepReport {
  return {
    name,
    // An order has one cause, though a step on another node may have stopped for a later one.
    outcome: outcome.status === "canceled" && cause !== undefined ? { ...outcome, cause } : outcome,
    durationMs,
    endedAtMs: localMs(endedMs),
    ...(startedMs !== undefined && { startedAtMs: localMs(startedMs) }),
    ...(threadId !== undefined && { threadId }),
  };
}

function isFailure(outcome: StepOutcome | undefined): boolean {
  return outcome?.status === "failed" || outcome?.status === "lost";
}
