import type { CompensationStatus } from "../../../orders/compensation-state.ts";
import { STEPS, type StepName } from "../../../orders/steps.ts";

/**
 * The open compensations of some steps in some states by their id, as SQL: those after `$1` rising, or those before it falling, up to a limit.
 * The index has them by state and step. Each of these stops at the limit, so few rows are sorted, whatever the planner expects.
 */
export function openById(
  columns: string,
  direction: "rising" | "falling",
  states: readonly CompensationStatus[],
  limit: string | number,
  steps: readonly StepName[] = STEPS,
): string {
  const [beyond, order] = direction === "rising" ? [">", "id"] : ["<", "id DESC"];
  const part = (state: CompensationStatus, step: string) => `
    (SELECT ${columns} FROM compensations WHERE state = '${state}' AND step = '${step}' AND ended_ms IS NULL AND id ${beyond} $1::bigint
     ORDER BY ${order} LIMIT ${limit})`;
  return `${states.flatMap((state) => steps.map((step) => part(state, step))).join(" UNION ALL ")} ORDER BY ${order} LIMIT ${limit}`;
}
