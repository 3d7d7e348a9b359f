import { z } from "zod";
import type { AnswerBody, StepAnswer } from "../../orders/answer.ts";
import { CANCEL_CAUSES } from "../../orders/cancel-cause.ts";
import { COMPENSATION_STATES } from "../../orders/compensation-state.ts";
import { ERROR_KINDS, ORDER_ERROR_KINDS, STEP_ERROR_KINDS } from "../../orders/error-kind.ts";
import { ATTEMPTS_SHOWN } from "../../orders/order-journal.ts";
import type { OrderView } from "../../orders/order-view.ts";
import { STEPS } from "../../orders/steps.ts";
import { READINESS } from "../health-routes.ts";
import { orderSchema } from "../order-body.ts";
import { ORDER_ID } from "../order-id.ts";

/** A JSON Schema, or another part of an OpenAPI document. */
export type Json = Readonly<Record<string, unknown>>;

// What is sent is made of the domain's own types, not of these; that they tell the same is checked by the compiler as far as it
// can (`z.ZodType<...>`) and by a test that validates real answers.

const stepName = z.enum(STEPS);
const orderError = z.object({
  kind: z.enum(ORDER_ERROR_KINDS),
  message: z
    .literal("order failed")
    .meta({ description: "Never more than that: a provider's own words may hold what is not for clients." }),
});

const STEP: z.ZodType<StepAnswer> = z
  .object({
    name: stepName,
    status: z.enum(["ok", "error", "canceled"]),
    duration_ms: z.int().min(0).meta({ description: "From the start of the order until this step had ended." }),
    detail: z
      .enum([...STEP_ERROR_KINDS, ...CANCEL_CAUSES])
      .exactOptional()
      .meta({ description: "The error kind of a step that failed, or why it was canceled. Absent where it ended ok." }),
    compensation: z
      .enum(["done", "pending"])
      .exactOptional()
      .meta({ description: "Only on a step that finished and had to be compensated, because the order failed." }),
  })
  .meta({ description: "How one step of an order ended." });

const allSteps = z
  .array(STEP)
  .length(STEPS.length)
  .meta({ description: `Every step: ${STEPS.join(", ")}.` });

const PLACED: z.ZodType<AnswerBody> = z
  .object({ status: z.literal("ok"), order_id: ORDER_ID, steps: allSteps })
  .meta({ description: "An order that is placed: every step ended ok." });

const FAILED: z.ZodType<AnswerBody> = z
  .object({ status: z.literal("error"), order_id: ORDER_ID, steps: allSteps, error: orderError })
  .meta({ description: "An order that ran and failed. What its finished steps did is compensated, or will be." });

const REFUSAL = z
  .object({
    status: z.literal("error"),
    error: z.object({ kind: z.enum(ERROR_KINDS), message: z.string().meta({ description: "Names the field or header and its rule." }) }),
  })
  .meta({ description: "A request that was refused. No step ran." });

const compensation = z
  .object({
    step: stepName,
    status: z.enum(COMPENSATION_STATES).meta({
      description: "`settled`: an operator has dealt with it by other means. `held`: since a restore, until an operator confirms it.",
    }),
    tries: z.int().min(0),
  })
  .meta({ description: "What is compensated of a failed attempt." });

const attemptStatus = z.enum(["running", "ok", "error"]);
const stepsSoFar = z.array(STEP).max(STEPS.length).meta({ description: "Empty while it runs." });

const ATTEMPT: z.ZodType<OrderView["attempts"][number]> = z
  .object({
    attempt: z.int().min(1),
    status: attemptStatus,
    accepted_at: z.iso.datetime(),
    ended_at: z.iso.datetime().exactOptional().meta({ description: "Absent while it runs." }),
    steps: stepsSoFar,
    error: orderError.exactOptional(),
    cause: z.literal("interrupted").exactOptional().meta({ description: "Only on an attempt that the process did not live to finish." }),
    compensations: z.array(compensation),
  })
  .meta({ description: "One attempt at an order. An order that failed may be sent again, which is a new one." });

const ORDER_VIEW: z.ZodType<OrderView> = z
  .object({
    order_id: ORDER_ID,
    amount: z.int().min(1),
    status: attemptStatus.meta({ description: "Of the latest attempt, as are `steps` and `error`." }),
    steps: stepsSoFar,
    error: orderError.exactOptional(),
    attempts_total: z.int().min(1),
    attempts: z
      .array(ATTEMPT)
      .max(ATTEMPTS_SHOWN)
      .meta({ description: `At most ${ATTEMPTS_SHOWN}, oldest first. Older ones: \`?before=\` and the number of the first.` }),
  })
  .meta({ description: "What is known of an order." });

const ALIVE = z.object({ status: z.literal("ok") }).meta({ description: "The process lives." });

const READY = z.object({ status: z.literal("ready") }).meta({ description: "Orders are taken." });

const NOT_READY = z.object({ status: z.enum(READINESS).exclude(["ready"]) }).meta({ description: "Orders are not taken, and why." });

const ANSWERS = {
  PlacedOrder: PLACED,
  FailedOrder: FAILED,
  Refusal: REFUSAL,
  OrderView: ORDER_VIEW,
  Attempt: ATTEMPT,
  Step: STEP,
  OrderId: ORDER_ID,
  Alive: ALIVE,
  Ready: READY,
  NotReady: NOT_READY,
};

export type SchemaName = "Order" | keyof typeof ANSWERS;

/** The JSON Schemas of `components.schemas`, which refer to each other. `simulated`: the providers are. */
export function componentSchemas(simulated: boolean): Readonly<Record<string, Json>> {
  const registry = z.registry<{ id: string }>();
  const order = orderSchema(simulated).meta({ description: "What is ordered. Other fields are refused." });
  for (const [id, schema] of Object.entries({ Order: order, ...ANSWERS })) registry.add(schema, { id });
  // As a client sends and reads them: fields that a later version may add to an answer are not ruled out.
  const { schemas } = z.toJSONSchema(registry, { io: "input", uri: pathOf, override: ({ jsonSchema }) => withoutDatePattern(jsonSchema) });
  return Object.fromEntries(Object.entries(schemas).map(([name, { $schema, $id, ...schema }]) => [name, schema]));
}

/** The format says all of it, and the pattern is 300 characters long. */
function withoutDatePattern(schema: { format?: string; pattern?: string }): void {
  if (schema.format === "date-time") delete schema.pattern;
}

function pathOf(name: string): string {
  return `#/components/schemas/${name}`;
}

/** What refers to a schema of `componentSchemas`. */
export function refTo(name: SchemaName): Json {
  return { $ref: pathOf(name) };
}

/** A Zod schema as the JSON Schema of a parameter: what a reader makes of it, not the text that it is in a URL. */
export function parameterSchema(schema: z.ZodType): Json {
  const { $schema, ...json } = z.toJSONSchema(schema, { io: "output" });
  return json;
}
