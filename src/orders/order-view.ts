import type { StepAnswer } from "./answer.ts";
import type { CompensationStatus } from "./compensation-state.ts";
import type { ErrorKind } from "./error-kind.ts";
import type { OrderRecord, StoredAttempt } from "./order-journal.ts";

/** What `GET /order/{order_id}` says: the latest attempt on top, the newest ones below. */
export interface OrderView extends Pick<AttemptView, "status" | "steps" | "error"> {
  readonly order_id: string;
  readonly amount: number;
  readonly attempts_total: number;
  /** Oldest first; older ones than these are had with `?before=` and the number of the first. */
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
  readonly compensations: readonly { readonly step: string; readonly status: CompensationStatus; readonly tries: number }[];
}

export function viewOf({ orderId, amount, attemptsTotal, latest, attempts }: OrderRecord): OrderView {
  const { status, steps, error } = viewOfAttempt(latest);
  return {
    order_id: orderId,
    amount,
    status,
    steps,
    ...(error !== undefined && { error }),
    attempts_total: attemptsTotal,
    attempts: attempts.map(viewOfAttempt),
  };
}

function viewOfAttempt({ attempt, acceptedMs, ended, compensations }: StoredAttempt): AttemptView {
  const accepted_at = new Date(acceptedMs).toISOString();
  if (ended === undefined) return { attempt, status: "running", accepted_at, steps: [], compensations };
  const { answer, atMs, interrupted } = ended;
  return {
    attempt,
    status: answer.status,
    accepted_at,
    ended_at: new Date(atMs).toISOString(),
    // The answer said how far it was compensated then; here it says how far it is now.
    steps: answer.steps.map((step) => {
      const now = compensations.find((compensation) => compensation.step === step.name);
      if (step.compensation === undefined || now === undefined) return step;
      return { ...step, compensation: now.status === "done" || now.status === "settled" ? "done" : "pending" };
    }),
    ...(answer.error !== undefined && { error: answer.error }),
    ...(interrupted && { cause: "interrupted" as const }),
    compensations,
  };
}
