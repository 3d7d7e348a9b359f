import type { StepErrorKind } from "../../src/orders/error-kind.ts";
import type { Effect, StepName } from "../../src/orders/step.ts";

/** What an answer, or the lack of one, makes of a step that did not succeed. */
export interface Refusal {
  readonly kind: StepErrorKind;
  readonly effect: Effect;
}

/** A status outside 2xx, read as the contract's table of providers has it. */
export function refusalOf(step: StepName, status: number): Refusal {
  const isClientError = status >= 400 && status < 500;
  // A 4xx is a definite no. A redirect is not: 303 is also what follows a request that was carried out. Nor is a 5xx: a
  // proxy answers 502 to 504 also when the connection to the provider broke after the request had gone out.
  const effect: Effect = isClientError ? "none" : "unknown";
  switch (step) {
    case "payment":
      if (status === 402) return { kind: "payment_declined", effect };
      return { kind: status >= 500 ? "payment_unavailable" : "internal", effect };
    case "vendor":
      return { kind: "vendor_unavailable", effect };
    case "courier":
      return { kind: status === 404 || status === 409 || status === 503 ? "no_courier" : "internal", effect };
  }
}

/** No answer came: the connection was refused or broke. */
export const UNREACHABLE: Readonly<Record<StepName, StepErrorKind>> = {
  payment: "payment_unavailable",
  vendor: "vendor_unavailable",
  courier: "internal",
};
