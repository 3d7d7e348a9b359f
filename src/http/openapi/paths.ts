import { ORDER_ERROR_KINDS } from "../../orders/error-kind.ts";
import { STEPS } from "../../orders/steps.ts";
import { BEFORE } from "../attempt-number.ts";
import { IDEMPOTENCY_KEY } from "../idempotency-key.ts";
import { lookUpExamples, type OrderExample, orderExamples } from "./examples.ts";
import { type AnswerHeader, errorResponses, headerRefs, isOrderErrorKind, jsonResponse } from "./responses.ts";
import { type Json, parameterSchema, refTo } from "./schemas.ts";

// A key is needed only where keys are configured.
const MAYBE_KEYED = [{}, { apiKey: [] }];
const REPLAYED: readonly AnswerHeader[] = ["Idempotent-Replayed"];

/** `paths` of the document: every route of the public listener but for the files that `/docs` loads. */
export function paths(simulated: boolean): Json {
  return {
    "/order": { post: placeOrder(simulated) },
    "/order/{order_id}": { get: showOrder(simulated) },
    "/healthz": { get: healthz },
    "/readyz": { get: readyz },
    "/openapi.json": { get: openApiJson },
    "/docs": { get: docs },
  };
}

function placeOrder(simulated: boolean): Json {
  const examples = orderExamples(simulated);
  return {
    tags: ["orders"],
    operationId: "placeOrder",
    summary: "Place an order",
    description: [
      `Runs the steps ${new Intl.ListFormat("en-GB").format(STEPS)} in parallel. The first that fails, the deadline, or the client hanging up cancels the others, and what had happened is compensated. The answer comes when every step has ended.`,
      "An `order_id` that ended `ok` is placed for good: sent again with the same amount it gets the stored answer (`Idempotent-Replayed: true`) and runs nothing. One that failed may be sent again, which is a new attempt.",
      "The body is read as JSON whatever `Content-Type` says. It has at most 16 KiB and is not compressed.",
    ].join("\n\n"),
    security: MAYBE_KEYED,
    parameters: [
      shownHeader(
        "Idempotency-Key",
        "Makes the request repeatable, failures included, for 24 hours: with the same body it gets the stored answer. 1 to 255 visible ASCII characters, with or without double quotes around them.",
        simulated,
        parameterSchema(IDEMPOTENCY_KEY),
      ),
      shownHeader("X-Request-Id", "Comes back in the answer. 1 to 128 visible ASCII characters; anything else is replaced.", simulated),
      shownHeader(
        "traceparent",
        "W3C trace context: log lines, spans and calls to real providers continue that trace. One that is not valid is ignored.",
        simulated,
      ),
      shownHeader(
        "Priority",
        "Urgency as in RFC 9218: `u=0` to `u=2` is urgent, `u=3` normal (as without the header), `u=4` to `u=7` background. Who goes first under pressure. One that is not valid is ignored.",
        simulated,
      ),
    ],
    requestBody: {
      required: true,
      content: {
        "application/json": {
          schema: refTo("Order"),
          examples: bodiesOf(examples.filter(({ breaksRule }) => breaksRule !== true)),
          // Validators check `examples` against the schema, which these break on purpose.
          "x-refused-examples": bodiesOf(examples.filter(({ breaksRule }) => breaksRule === true)),
        },
      },
    },
    responses: {
      200: jsonResponse(
        "The order is placed.",
        ["PlacedOrder"],
        REPLAYED,
        examples.filter(({ answer }) => answer.status === 200),
      ),
      ...errorResponses({
        kinds: [
          ...ORDER_ERROR_KINDS,
          "bad_request",
          "unauthorized",
          "order_conflict",
          "payload_too_large",
          "idempotency_mismatch",
          "rate_limited",
          "overloaded",
          "shutting_down",
        ],
        runsOrders: true,
        examples,
        headersOf: (kind) => [
          ...(kind === "unauthorized" ? (["WWW-Authenticate"] as const) : []),
          ...(isOrderErrorKind(kind) ? REPLAYED : []),
        ],
      }),
    },
  };
}

function bodiesOf(examples: readonly OrderExample[]): Json {
  return Object.fromEntries(examples.map(({ name, summary, body }) => [name, { summary, value: body }]));
}

function showOrder(simulated: boolean): Json {
  const examples = lookUpExamples(simulated);
  return {
    tags: ["orders"],
    operationId: "showOrder",
    summary: "Look an order up",
    description: "What is known of an order: its status and steps, what has been compensated, and its attempts, the newest of them.",
    security: MAYBE_KEYED,
    parameters: [
      {
        name: "order_id",
        in: "path",
        required: true,
        description: "Percent-encoded where it is not ASCII.",
        schema: refTo("OrderId"),
        examples: Object.fromEntries(examples.map(({ name, summary, order_id }) => [name, { summary, value: order_id }])),
      },
      {
        name: "before",
        in: "query",
        description: "Shows attempts before this one. Without it, the newest.",
        schema: parameterSchema(BEFORE),
        examples: Object.fromEntries(
          examples.flatMap(({ name, summary, before }) => (before === undefined ? [] : [[name, { summary, value: before }]])),
        ),
      },
    ],
    responses: {
      200: jsonResponse(
        "The order is known.",
        ["OrderView"],
        [],
        examples.filter(({ answer }) => answer.status === 200),
      ),
      ...errorResponses({
        kinds: ["bad_request", "unauthorized", "not_found", "internal", "overloaded"],
        examples,
        headersOf: (kind) => (kind === "unauthorized" ? ["WWW-Authenticate"] : []),
      }),
    },
  };
}

const healthz = openOperation("health", "isAlive", "Whether the process lives", {
  description: "Answers for any `Host`, as does `/readyz`: balancers ask by names of their own.",
  responses: { 200: jsonResponse("The process lives.", ["Alive"]), ...errorResponses({ kinds: [] }) },
});

const readyz = openOperation("health", "isReady", "Whether orders are taken", {
  responses: {
    200: jsonResponse("Orders are taken.", ["Ready"]),
    ...errorResponses({ kinds: [] }),
    503: jsonResponse(
      "The server starts, drains, or cannot write its journal. Or more than 100 requests are in line on one connection, where one at a time is served.",
      ["NotReady", "Refusal"],
      ["Retry-After"],
    ),
  },
});

const openApiJson = openOperation("documents", "openApiDocument", "This document", contentOf("application/json", "object"));

const docs = openOperation("documents", "docs", "This document as a page", contentOf("text/html", "string"));

/** One that needs no key. */
function openOperation(tag: string, operationId: string, summary: string, rest: Json): Json {
  return { tags: [tag], operationId, summary, security: [], ...rest };
}

function contentOf(mediaType: string, type: string): Json {
  const description = "The current one. Of `GET` with the `ETag` of an earlier answer: 304 where that is the same.";
  const content = { [mediaType]: { schema: { type } } };
  return { responses: { 200: { description, headers: headerRefs([]), content }, ...errorResponses({ kinds: [] }) } };
}

function header(name: string, rest: Json): Json {
  return { name, in: "header", ...rest };
}

/** A header of orders, with its examples. */
function shownHeader(name: string, description: string, simulated: boolean, schema: Json = { type: "string" }): Json {
  const shown = orderExamples(simulated).filter(({ headers }) => headers?.[name] !== undefined);
  const examples = Object.fromEntries(shown.map(({ name: example, summary, headers }) => [example, { summary, value: headers?.[name] }]));
  return header(name, { description, schema, examples });
}
