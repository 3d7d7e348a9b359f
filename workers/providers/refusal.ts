import type { StepErrorKind } from "../../src/orders/error-kind.ts";
import type { Effect, StepName } from "../../src/orders/step.ts";

/** What an answer, or the lack of one, makes of a step that did not succeed. */
export interface Refusal {
  readonly kind: StepErrorKind;
  readonly effect: Effect;
}

/**
 * Answers that a provider gives before it acts. 408, 409 and 425 are not among them: a gateway says "key in use" or "too slow"
 * of a call that the provider behind it has carried out. Nor is a redirect (303 is also what follows success), nor a 5xx: a
 * proxy answers 502 to 504 also when its connection broke after the request had gone out.
 */
const DEFINITE: ReadonlySet<number> = new Set([400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 429]);

/** A status outside 2xx, read as the contract's table of providers has it. */
export function refusalOf(step: StepName, status: number): Refusal {
  return { kind: kindOf(step, status), effect: DEFINITE.has(status) ? "none" : "unknown" };
}

function kindOf(step: StepName, status: number): StepErrorKind {
  switch (step) {
    case "payment":
      if (status === 402) return "payment_declined";
      return DEFINITE.has(status) ? "internal" : "payment_unavailable";
    case "vendor":
      return "vendor_unavailable";
    case "courier":
      return status === 404 || status === 409 || status === 503 ? "no_courier" : "internal";
  }
}

/** No answer came: the connection was refused or broke. */
export const UNREACHABLE: Readonly<Record<StepName, StepErrorKind>> = {
  payment: "payment_unavailable",
  vendor: "vendor_unavailable",
  courier: "internal",
};
