import type { Compensation, StepAnswer } from "./answer.ts";
import type { ErrorKind } from "./error-kind.ts";
import type { AttemptRecord, OrderRecord } from "./order-journal.ts";

/** What `GET /order/{order_id}` says: the latest attempt on top, all of them below. */
export interface OrderView extends Pick<AttemptView, "status" | "steps" | "error"> {
  readonly order_id: string;
  readonly amount: number;
  readonly attempts: readonly AttemptView[];
}

interface AttemptView {
  readonly attempt: number;
  readonly status: "running" | "ok" | "error";
  readonly accepted_at: string;
  readonly ended_at?: string;
  readonly steps: readonly StepAnswer[];
  readonly error?: { readonly kind: ErrorKind; readonly message: string };
  /** Present on an attempt that the process did not live to finish. */
  readonly cause?: "interrupted";
  readonly compensations: readonly { readonly step: string; readonly status: Compensation; readonly tries: number }[];
}

export function viewOf({ orderId, amount, attempts }: OrderRecord): OrderView {
  const views = attempts.map(viewOfAttempt);
  const { status, steps, error } = views.at(-1) as AttemptView;
  return { order_id: orderId, amount, status, steps, ...(error !== undefined && { error }), attempts: views };
}

function viewOfAttempt({ attempt, acceptedMs, ended, undos }: AttemptRecord): AttemptView {
  const accepted_at = new Date(acceptedMs).toISOString();
  const compensations = undos.map(({ step, done, tries }) => ({ step, status: done ? ("done" as const) : ("pending" as const), tries }));
  if (ended === undefined) return { attempt, status: "running", accepted_at, steps: [], compensations };
  const { answer, atMs, interrupted } = ended;
  return {
    attempt,
    status: answer.status,
    accepted_at,
    ended_at: new Date(atMs).toISOString(),
    // The answer said how far undoing was then; here it says how far it is now.
    steps: answer.steps.map((step) => {
      const now = compensations.find((compensation) => compensation.step === step.name);
      return step.compensation === undefined || now === undefined ? step : { ...step, compensation: now.status };
    }),
    ...(answer.error !== undefined && { error: answer.error }),
    ...(interrupted && { cause: "interrupted" as const }),
    compensations,
  };
}
