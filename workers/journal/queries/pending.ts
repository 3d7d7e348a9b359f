import { STEPS } from "../../../src/orders/steps.ts";

/**
 * The pending compensations of all steps by their id, as SQL: those after `?1` rising, or those before it falling, up to `?2`. The
 * index has them by step, for the oldest of each; SQLite merges the three as it goes, so it looks at no more rows than it returns.
 */
export function pendingById(columns: string, direction: "rising" | "falling"): string {
  const [beyond, order] = direction === "rising" ? [">", ""] : ["<", " DESC"];
  const ofStep = (step: string) => `
    SELECT ${columns} FROM compensations INDEXED BY compensations_pending
    WHERE step = '${step}' AND next_try_ms IS NOT NULL AND id ${beyond} ?1`;
  return `${STEPS.map(ofStep).join(" UNION ALL ")} ORDER BY id${order} LIMIT ?2`;
}
