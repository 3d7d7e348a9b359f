import { z } from "zod";
import type { Order } from "../orders/step.ts";
import { perStep, STEPS, type StepName } from "../orders/steps.ts";
import { BadRequest } from "./answers.ts";
import { readJsonObject } from "./json-body.ts";
import { ORDER_ID } from "./order-id.ts";

const MAX_MS = 600_000;

// `Intl.ListFormat` says the same, but reads 4 MiB of the runtime's language data, which stay in memory.
const STEP_LIST = STEPS.join(", ").replace(/, (?=[^,]+$)/, " or ");
const AMOUNT_RULE = `must be a whole number from 1 to ${Number.MAX_SAFE_INTEGER}, in minor units`;
const MS_RULE = `must be a whole number of milliseconds from 0 to ${MAX_MS}`;

const milliseconds = z.int(MS_RULE).min(0, MS_RULE).max(MAX_MS, MS_RULE).optional();
const ofEachStep = z.strictObject(
  perStep(() => milliseconds),
  { error: (issue) => (issue.code === "invalid_type" ? `must be an object with keys ${STEP_LIST}` : undefined) },
);

/** The fields that steer simulated providers. Descriptions are for documents, as in all schemas here. */
const SIMULATION = {
  fail_step: z.enum(STEPS, `must be ${STEP_LIST}`).optional().meta({ description: "The step that fails, when its time has passed." }),
  delay_ms: ofEachStep.optional().meta({ description: "How long the provider of a step takes to answer, in milliseconds." }),
  cpu_ms: ofEachStep
    .optional()
    .meta({ description: "How long a step computes, in milliseconds, on a thread of its own, instead of waiting for its provider." }),
};

const ORDER = z.strictObject({
  order_id: ORDER_ID,
  amount: z
    .int(AMOUNT_RULE)
    .min(1, AMOUNT_RULE)
    .meta({ description: `A whole number from 1 to ${Number.MAX_SAFE_INTEGER}, in minor units (cents).` }),
  ...SIMULATION,
});

const REAL_ORDER = ORDER.omit({ fail_step: true, delay_ms: true, cpu_ms: true });

/** The body of `POST /order`, for documents: with real providers the simulation fields are no part of it. */
export function orderSchema(simulated: boolean): z.ZodType {
  return simulated ? ORDER : REAL_ORDER;
}

/** Reads the body of `POST /order`. Throws `BadRequest` with field and rule; real providers take no simulation fields. */
export function readOrder(body: Buffer, simulated = true): Order {
  const result = ORDER.safeParse(readJsonObject(body));
  if (!result.success) throw new BadRequest(explain(result.error));
  const { order_id, amount, fail_step, delay_ms, cpu_ms } = result.data;
  if (!simulated) {
    const field = fail_step !== undefined ? "fail_step" : delay_ms !== undefined ? "delay_ms" : cpu_ms !== undefined ? "cpu_ms" : undefined;
    if (field !== undefined) throw new BadRequest(`${field}: is for simulated providers only, and real ones are configured`);
  }
  if (fail_step === undefined && delay_ms === undefined && cpu_ms === undefined) return { orderId: order_id, amount };
  const simulation = {
    ...(fail_step !== undefined && { failStep: fail_step }),
    ...(delay_ms !== undefined && { delayMs: delay_ms as Partial<Record<StepName, number>> }),
    ...(cpu_ms !== undefined && { cpuMs: cpu_ms as Partial<Record<StepName, number>> }),
  };
  return { orderId: order_id, amount, simulation };
}

function explain(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return "body: is not a valid order";
  const path = issue.path.join(".");
  if (issue.code === "unrecognized_keys") {
    const field = [...issue.path, issue.keys[0]].join(".");
    const known = issue.path.length === 0 ? "order_id, amount, fail_step, delay_ms and cpu_ms" : STEP_LIST;
    return `${field}: is not a known field; known are ${known}`;
  }
  return `${path}: ${issue.message}`;
}
