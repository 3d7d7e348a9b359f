import type { StepErrorKind } from "../../src/orders/error-kind.ts";
import type { Effect } from "../../src/orders/step.ts";
import { STEP_TABLE, type StepName } from "../../src/orders/steps.ts";

/** What an answer, or its absence, means for a step that did not succeed. */
export interface Refusal {
  readonly kind: StepErrorKind;
  readonly effect: Effect;
}

/**
 * Answers that a provider gives before it acts. 408, 409 and 425 are not among them: a gateway says "key in use" or "too slow"
 * of a call that the provider behind it has executed. Nor is a redirect (303 is also what follows success), nor a 5xx: a
 * proxy answers 502 to 504 also when its connection broke after the request had gone out.
 */
const DEFINITE: ReadonlySet<number> = new Set([400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 429]);

/** What a status outside 2xx means, as the step's definition has it. */
export function refusalOf(step: StepName, status: number): Refusal {
  return { kind: kindOf(step, status), effect: DEFINITE.has(status) ? "none" : "unknown" };
}

function kindOf(step: StepName, status: number): StepErrorKind {
  const { statuses, definite, other } = STEP_TABLE[step].meaning;
  return statuses[status] ?? (DEFINITE.has(status) ? definite : other);
}
