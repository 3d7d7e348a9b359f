import type { CompensationStatus } from "../../../orders/compensation-state.ts";
import type { StepName } from "../../../orders/steps.ts";
import type { CompensationRecord } from "../../memory/compensations.ts";

/** Of the table `compensations`, in the order of `compensationRecord`. */
export const COMPENSATION_COLUMNS = "c.id, c.attempt_id, c.step, c.state, c.tries, c.next_try_ms, c.last_answer, c.ended_ms, c.note";

export type CompensationTuple = readonly [
  number,
  number,
  StepName,
  CompensationStatus,
  number,
  number | null,
  string | null,
  number | null,
  string | null,
];

export function compensationRecord([
  id,
  attemptId,
  step,
  status,
  tries,
  nextTryMs,
  lastAnswer,
  endedMs,
  note,
]: CompensationTuple): CompensationRecord {
  return { id, attemptId, step, status, tries, nextTryMs, lastAnswer, endedMs, note };
}
