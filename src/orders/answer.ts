import type { ErrorKind } from "./error-kind.ts";
import type { OrderOutcome, StepReport } from "./outcome.ts";
import type { StepName } from "./steps.ts";

/** Whether what a finished step of a failed order did has been taken back. */
export type Compensation = "done" | "pending";

export interface CompensationProgress {
  readonly step: StepName;
  readonly done: boolean;
}

/** The body of an answer to an order, field by field as docs/api.md spells it. */
export interface AnswerBody {
  readonly status: "ok" | "error";
  readonly order_id: string;
  readonly steps: readonly StepAnswer[];
  readonly error?: { readonly kind: ErrorKind; readonly message: string };
}

export interface StepAnswer {
  readonly name: string;
  readonly status: "ok" | "error" | "canceled";
  readonly duration_ms: number;
  readonly detail?: string;
  readonly compensation?: Compensation;
}

/** The answer to an order that has run. `compensations` say how far it is compensated. */
export function answerTo(orderId: string, { steps, error }: OrderOutcome, compensations: readonly CompensationProgress[]): AnswerBody {
  const base = { order_id: orderId, steps: steps.map((step) => stepAnswer(step, compensations)) };
  // Says no more than this on purpose: a provider's own words may hold what a client must not see.
  return error === undefined ? { status: "ok", ...base } : { status: "error", ...base, error: { kind: error, message: "order failed" } };
}

function stepAnswer({ name, outcome, durationMs }: StepReport, compensations: readonly CompensationProgress[]): StepAnswer {
  switch (outcome.status) {
    case "ok": {
      const progress = compensations.find(({ step }) => step === name);
      if (progress === undefined) return { name, status: "ok", duration_ms: durationMs };
      return { name, status: "ok", duration_ms: durationMs, compensation: progress.done ? "done" : "pending" };
    }
    case "canceled":
      return { name, status: "canceled", duration_ms: durationMs, detail: outcome.cause };
    case "failed":
      return { name, status: "error", duration_ms: durationMs, detail: outcome.kind };
    case "lost":
      return { name, status: "error", duration_ms: durationMs, detail: "internal" };
  }
}
