import type { Logger } from "pino";
import type { OnOrderEnded } from "../orders/ended-order.ts";
import type { StepReport } from "../orders/outcome.ts";
import { traceIdOf } from "../orders/traceparent.ts";

/** Logs one line at info for each ended attempt. Main thread only. */
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
        trace_id: traceparent === undefined ? undefined : traceIdOf(traceparent),
      },
      "order ended",
    );
  };
}

function lineOf({ name, outcome, durationMs, threadId }: StepReport): object {
  switch (outcome.status) {
    case "ok":
      return { name, status: "ok", duration_ms: durationMs, thread: threadId };
    case "canceled":
      return { name, status: "canceled", detail: outcome.cause, duration_ms: durationMs, thread: threadId };
    case "failed":
      return { name, status: "error", detail: outcome.kind, duration_ms: durationMs, thread: threadId };
    case "lost":
      return { name, status: "error", detail: outcome.reason, duration_ms: durationMs, thread: threadId };
  }
}
