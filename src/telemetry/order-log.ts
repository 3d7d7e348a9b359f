import type { Logger } from "pino";
import type { OnOrderEnded } from "../orders/ended-order.ts";
import type { StepReport } from "../orders/outcome.ts";
import { traceContextOf } from "../orders/traceparent.ts";

/** Logs one line at info for each ended attempt. */
export function orderLog(log: Logger): OnOrderEnded {
  return ({ input, requestId, outcome, receivedAtMs, storedAtMs }) => {
    const { orderId, attempt, traceparent } = input;
    const { error, canceled, steps } = outcome;
    log.info(
      {
        order_id: orderId,
        attempt,
        request_id: requestId,
        status: error === undefined ? "ok" : "error",
        kind: error,
        canceled: canceled?.cause,
        duration_ms: Math.round(storedAtMs - receivedAtMs),
        steps: steps.map(lineOf),
        trace_id: traceparent === undefined ? undefined : traceContextOf(traceparent).traceId,
      },
      "order ended",
    );
  };
}

function lineOf({ name, outcome, durationMs, threadId }: StepReport): object {
  const { status } = outcome;
  const line = { name, status: status === "failed" || status === "lost" ? "error" : status, detail: detailOf(outcome) };
  return { ...line, duration_ms: durationMs, thread: threadId };
}

/** The kind of a failure, the cause of a cancel, or why the step's thread was lost; undefined where the step ended ok. */
export function detailOf(outcome: StepReport["outcome"]): string | undefined {
  switch (outcome.status) {
    case "ok":
      return undefined;
    case "canceled":
      return outcome.cause;
    case "failed":
      return outcome.kind;
    case "lost":
      return outcome.reason;
  }
}
