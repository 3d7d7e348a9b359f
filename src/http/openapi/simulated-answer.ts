import { STEP_TABLE, STEPS, type StepName, simulatedDelayMs } from "../../orders/steps.ts";
import { STATUS } from "../status.ts";

/** An order as clients write it. */
export interface ExampleOrder {
  readonly order_id: string;
  readonly amount: number;
  readonly fail_step?: StepName;
  readonly delay_ms?: Readonly<Partial<Record<StepName, number>>>;
  readonly cpu_ms?: Readonly<Partial<Record<StepName, number>>>;
}

// With default settings.
const DEADLINE_MS = 2_000;
// What an answer shows of a step's way to its thread and back, about.
const OVERHEAD_MS = 2;

/** What simulated providers make of an order on an idle server: the steps of its answer, and the kind of its error if it fails. */
export function simulatedOutcome(order: ExampleOrder) {
  const failsAtMs = order.fail_step === undefined ? Number.POSITIVE_INFINITY : durationOf(order.fail_step, order);
  const isLate = STEPS.some((step) => durationOf(step, order) > DEADLINE_MS) && failsAtMs > DEADLINE_MS;
  const stopsAtMs = Math.min(failsAtMs, isLate ? DEADLINE_MS : Number.POSITIVE_INFINITY);
  const failure = order.fail_step !== undefined && !isLate ? STEP_TABLE[order.fail_step].simulated.failsWith : undefined;
  const kind = isLate ? ("timeout" as const) : failure;
  const steps = STEPS.map((name) => {
    const durationMs = durationOf(name, order);
    const ended = (status: string, atMs: number) => ({ name, status, duration_ms: atMs + OVERHEAD_MS });
    if (name === order.fail_step && failure !== undefined) return { ...ended("error", durationMs), detail: failure };
    if (durationMs > stopsAtMs) return { ...ended("canceled", stopsAtMs), detail: isLate ? "deadline" : "sibling_failed" };
    return kind === undefined ? ended("ok", durationMs) : { ...ended("ok", durationMs), compensation: "done" };
  });
  return { kind, steps };
}

/** The answer to it. */
export function simulatedAnswer(order: ExampleOrder): { readonly status: number; readonly body: object } {
  const { kind, steps } = simulatedOutcome(order);
  if (kind === undefined) return { status: 200, body: { status: "ok", order_id: order.order_id, steps } };
  return { status: STATUS[kind], body: { status: "error", order_id: order.order_id, steps, error: { kind, message: "order failed" } } };
}

function durationOf(step: StepName, { delay_ms, cpu_ms }: ExampleOrder): number {
  return (cpu_ms?.[step] ?? 0) + simulatedDelayMs(step, delay_ms?.[step], cpu_ms?.[step]);
}
