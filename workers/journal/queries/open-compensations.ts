import type { CompensationStatus } from "../../../src/orders/compensation-state.ts";
import { STEPS, type StepName } from "../../../src/orders/steps.ts";

/**
 * The open compensations of some steps in some states by their id, as SQL: those after `?1` rising, or those before it falling, up to `?2`. The
 * index has them by state and step, for the oldest of each; SQLite merges them as it goes, so it looks at no more rows than it returns.
 */
export function openById(
  columns: string,
  direction: "rising" | "falling",
  states: readonly CompensationStatus[],
  steps: readonly StepName[] = STEPS,
): string {
  const [beyond, order] = direction === "rising" ? [">", ""] : ["<", " DESC"];
  const part = (state: CompensationStatus, step: string) => `
    SELECT ${columns} FROM compensations INDEXED BY compensations_open
    WHERE state = '${state}' AND step = '${step}' AND ended_ms IS NULL AND id ${beyond} ?1`;
  const parts = states.flatMap((state) => steps.map((step) => part(state, step)));
  return `${parts.join(" UNION ALL ")} ORDER BY id${order} LIMIT ?2`;
}
