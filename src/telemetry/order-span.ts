import { randomBytes } from "node:crypto";
import type { RetriedCompensation } from "../orders/compensator.ts";
import type { EndedOrder } from "../orders/ended-order.ts";
import type { StepReport } from "../orders/outcome.ts";
import type { SpanData } from "../orders/span-data.ts";
import type { AttemptInput } from "../orders/step.ts";
import { type TraceContext, traceContextOf } from "../orders/traceparent.ts";

/**
 * The spans of an order that its threads cannot make: the order's own, whose id `input.traceparent` has, and those of steps that reached no thread
 * or were lost with their thread. Empty where the order has no trace or the trace is not sampled.
 */
export function spansOf(order: EndedOrder): SpanData[] {
  const trace = sampledTrace(order.input);
  if (trace === undefined) return [];
  const lost = order.outcome.steps.filter(({ startedAtMs }) => startedAtMs === undefined);
  return [spanOf(order, trace), ...lost.map((step) => spanWithoutThread(step, order, trace))];
}

/** The root span of a compensation after the answer of its order; the spans of the call are its children. */
export function spanOfRetry({ input, step, tries, done, startedAtMs, endedAtMs }: RetriedCompensation): SpanData[] {
  const trace = sampledTrace(input);
  if (trace === undefined) return [];
  const attributes = { ...identityOf(input), "step.name": step, "compensation.tries": tries };
  return [
    {
      name: `compensation of ${step}`,
      kind: "internal",
      traceId: trace.traceId,
      spanId: trace.spanId,
      parentSpanId: undefined,
      startedAtMs,
      endedAtMs,
      attributes,
      error: done ? undefined : "not compensated yet",
      events: [],
    },
  ];
}

function spanOf({ input, requestId, parentSpanId, outcome, receivedAtMs, storedAtMs }: EndedOrder, trace: TraceContext): SpanData {
  const { error, canceled } = outcome;
  const attributes: Record<string, string | number> = {
    ...identityOf(input),
    "http.request.method": "POST",
    "http.route": "/order",
    "order.status": error === undefined ? "ok" : "error",
  };
  if (requestId !== undefined) attributes["request.id"] = requestId;
  if (error !== undefined) attributes["error.type"] = error;
  if (canceled !== undefined) attributes["cancel.cause"] = canceled.cause;
  const cancel = canceled && { name: "cancel", atMs: canceled.atMs, attributes: { "cancel.cause": canceled.cause } };
  return {
    name: "POST /order",
    kind: "server",
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentSpanId,
    startedAtMs: receivedAtMs,
    endedAtMs: storedAtMs,
    attributes,
    error,
    events: cancel === undefined ? [] : [cancel],
  };
}

function spanWithoutThread(
  { name, outcome, endedAtMs, threadId }: StepReport,
  { input, outcome: of }: EndedOrder,
  trace: TraceContext,
): SpanData {
  const attributes: Record<string, string | number> = {
    ...identityOf(input),
    "step.name": name,
    "step.action": "perform",
    "step.status": outcome.status,
  };
  if (threadId !== undefined) attributes["thread.id"] = threadId;
  if (outcome.status === "canceled") attributes["cancel.cause"] = outcome.cause;
  else attributes["error.type"] = outcome.status === "failed" ? outcome.kind : "internal";
  return {
    name,
    kind: "internal",
    traceId: trace.traceId,
    spanId: randomBytes(8).toString("hex"),
    parentSpanId: trace.spanId,
    // The time of the order: only the lost thread knew when the step began.
    startedAtMs: of.startedAtMs,
    endedAtMs,
    attributes,
    error: errorOf(outcome),
    events: [],
  };
}

function errorOf(outcome: StepReport["outcome"]): string {
  if (outcome.status === "canceled") return `canceled: ${outcome.cause}`;
  if (outcome.status === "lost") return outcome.reason;
  return outcome.status === "failed" ? outcome.kind : "internal";
}

function identityOf({ orderId, attempt }: AttemptInput): Record<string, string | number> {
  return { "order.id": orderId, "order.attempt": attempt };
}

function sampledTrace({ traceparent }: AttemptInput): TraceContext | undefined {
  const trace = traceparent === undefined ? undefined : traceContextOf(traceparent);
  return trace?.sampled === true ? trace : undefined;
}
