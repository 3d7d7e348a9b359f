import { randomBytes } from "node:crypto";
import type { RetriedCompensation } from "../orders/compensator.ts";
import type { EndedOrder } from "../orders/ended-order.ts";
import type { StepReport } from "../orders/outcome.ts";
import type { SpanData } from "../orders/span-data.ts";
import type { AttemptInput } from "../orders/step.ts";
import { type TraceContext, traceContextOf } from "../orders/traceparent.ts";
import { detailOf } from "./order-log.ts";

type Attributes = Record<string, string | number>;

/**
 * The spans of an order that its threads cannot make: its own, whose id `input.traceparent` has, and those of steps that reached no thread
 * or were lost with it. None where its trace is not sampled.
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
  const error = done ? undefined : "not compensated yet";
  return [{ ...NOTHING, name: `compensation of ${step}`, ...idsOf(trace), startedAtMs, endedAtMs, attributes, error }];
}

const NOTHING = { kind: "internal", parentSpanId: undefined, error: undefined, events: [] } as const;

function spanOf({ input, requestId, parentSpanId, outcome, receivedAtMs, storedAtMs }: EndedOrder, trace: TraceContext): SpanData {
  const { error, canceled } = outcome;
  const cause = canceled === undefined ? {} : { "cancel.cause": canceled.cause };
  return {
    name: "POST /order",
    kind: "server",
    ...idsOf(trace),
    parentSpanId,
    startedAtMs: receivedAtMs,
    endedAtMs: storedAtMs,
    attributes: {
      ...identityOf(input),
      "http.request.method": "POST",
      "http.route": "/order",
      "order.status": error === undefined ? "ok" : "error",
      ...(requestId !== undefined && { "request.id": requestId }),
      ...(error !== undefined && { "error.type": error }),
      ...cause,
    },
    error,
    events: canceled === undefined ? [] : [{ name: "cancel", atMs: canceled.atMs, attributes: cause }],
  };
}

function spanWithoutThread(
  { name, outcome, endedAtMs, threadId }: StepReport,
  { input, outcome: of }: EndedOrder,
  trace: TraceContext,
): SpanData {
  const { status } = outcome;
  const detail = detailOf(outcome) ?? "internal";
  const attributes: Attributes = {
    ...identityOf(input),
    "step.name": name,
    "step.action": "perform",
    "step.status": status,
    ...(threadId !== undefined && { "thread.id": threadId }),
    ...(status === "canceled" ? { "cancel.cause": detail } : { "error.type": status === "failed" ? detail : "internal" }),
  };
  return {
    ...NOTHING,
    name,
    traceId: trace.traceId,
    spanId: randomBytes(8).toString("hex"),
    parentSpanId: trace.spanId,
    // The time of the order: only the lost thread knew when the step began.
    startedAtMs: of.startedAtMs,
    endedAtMs,
    attributes,
    error: status === "canceled" ? `canceled: ${detail}` : detail,
  };
}

function idsOf({ traceId, spanId }: TraceContext): Pick<SpanData, "traceId" | "spanId"> {
  return { traceId, spanId };
}

function identityOf({ orderId, attempt }: AttemptInput): Attributes {
  return { "order.id": orderId, "order.attempt": attempt };
}

function sampledTrace({ traceparent }: AttemptInput): TraceContext | undefined {
  const trace = traceparent === undefined ? undefined : traceContextOf(traceparent);
  return trace?.sampled === true ? trace : undefined;
}
