import { type ErrorKind, ORDER_ERROR_KINDS } from "../../orders/error-kind.ts";
import { ERROR_ANSWERS, headersOf } from "../status.ts";
import { type Json, refTo, type SchemaName } from "./schemas.ts";

/** What an example answers: under the name that its request has, too. */
export interface ExampleAnswer {
  readonly name: string;
  readonly summary: string;
  readonly answer: { readonly status: number; readonly body: object };
}

/** A header of an answer, as `components.headers` has it. */
export const ANSWER_HEADERS = {
  "X-Request-Id": {
    description: "The id of the request: the one it brought, or a new one. Log lines have it as `request_id`.",
    required: true,
    schema: { type: "string" },
  },
  "Idempotent-Replayed": {
    description: "This is the stored answer of an earlier request. Absent on any other.",
    schema: { type: "string", const: "true" },
  },
  "Retry-After": {
    description:
      "Whole seconds after which the same request may be taken. On `overloaded`, `shutting_down` and `rate_limited`, and where a provider or its open circuit says when to ask again.",
    schema: { type: "integer", minimum: 0 },
  },
  "WWW-Authenticate": { description: "The scheme to show a key with.", schema: { type: "string" } },
} as const;

export type AnswerHeader = keyof typeof ANSWER_HEADERS;

/** A response object with a JSON body of one of these schemas. */
export function jsonResponse(
  description: string,
  schemas: readonly SchemaName[],
  headers: readonly AnswerHeader[] = [],
  examples: readonly ExampleAnswer[] = [],
): Json {
  const [first, ...others] = schemas;
  return {
    description,
    headers: headerRefs(headers),
    content: {
      "application/json": {
        schema: first !== undefined && others.length === 0 ? refTo(first) : { anyOf: schemas.map(refTo) },
        ...(examples.length > 0 && {
          examples: Object.fromEntries(examples.map(({ name, summary, answer }) => [name, { summary, value: answer.body }])),
        }),
      },
    },
  };
}

/** References to headers; every answer has `X-Request-Id`. */
export function headerRefs(headers: readonly AnswerHeader[]): Json {
  return Object.fromEntries((["X-Request-Id", ...headers] as const).map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** What an operation may answer with a kind of error. */
export interface ErrorsOf {
  readonly kinds: readonly ErrorKind[];
  /** It runs orders: an error may be that of one that ran. */
  readonly runsOrders?: boolean;
  readonly examples?: readonly ExampleAnswer[];
  /** Headers of answers of a kind, besides those that the kind itself brings. */
  readonly headersOf?: (kind: ErrorKind) => readonly AnswerHeader[];
}

// Node's HTTP layer and the request listener give these answers, before any route.
const BEFORE_ANY_ROUTE = [
  "bad_request",
  "forbidden",
  "request_timeout",
  "headers_too_large",
  "overloaded",
] as const satisfies readonly ErrorKind[];
const EXPECTATION_FAILED = 417;

/** `components.responses`: answers that every operation may give. */
export const SHARED_RESPONSES: Readonly<Record<string, Json>> = {
  ...Object.fromEntries(BEFORE_ANY_ROUTE.map((kind) => [kind, errorResponse([kind], { kinds: [kind] }, [])])),
  expectation_failed: {
    ...jsonResponse("`Expect` is something else than `100-continue`.", ["Refusal"]),
    "x-error-kinds": ["bad_request"],
  },
};

function sharedResponse(name: string): Json {
  return { $ref: `#/components/responses/${name}` };
}

/** The response objects of an operation's errors, by status: its own, and those that every request may meet. */
export function errorResponses(errors: ErrorsOf): Readonly<Record<string, Json>> {
  const statuses = new Set([...errors.kinds, ...BEFORE_ANY_ROUTE].map((kind) => ERROR_ANSWERS[kind].status));
  const responses = [...statuses].map((status) => {
    const own = errors.kinds.filter((kind) => ERROR_ANSWERS[kind].status === status);
    const shared = BEFORE_ANY_ROUTE.filter((kind) => ERROR_ANSWERS[kind].status === status);
    const [only] = shared;
    if (own.length === 0 && only !== undefined) return [status, sharedResponse(only)] as const;
    const examples = (errors.examples ?? []).filter(({ answer }) => answer.status === status);
    return [status, errorResponse([...new Set([...own, ...shared])], errors, examples)] as const;
  });
  return Object.fromEntries([...responses, [EXPECTATION_FAILED, sharedResponse("expectation_failed")]]);
}

function errorResponse(kinds: readonly ErrorKind[], errors: ErrorsOf, examples: readonly ExampleAnswer[]): Json {
  const ofOrders = errors.runsOrders === true && kinds.some(isOrderErrorKind);
  const refusals = errors.runsOrders !== true || kinds.some((kind) => !isOrderErrorKind(kind) || kind === "internal");
  const headers = new Set(kinds.flatMap((kind) => [...kindHeaders(kind), ...(errors.headersOf?.(kind) ?? [])]));
  const schemas: SchemaName[] = [...(ofOrders ? (["FailedOrder"] as const) : []), ...(refusals ? (["Refusal"] as const) : [])];
  const description = kinds.map((kind) => `* \`${kind}\`: ${ERROR_ANSWERS[kind].when}`).join("\n");
  return { ...jsonResponse(description, schemas, [...headers], examples), "x-error-kinds": kinds };
}

/** Whether an order that ran may end with it. */
export function isOrderErrorKind(kind: ErrorKind): boolean {
  return (ORDER_ERROR_KINDS as readonly ErrorKind[]).includes(kind);
}

/** What the kind brings itself, but for `Connection`, which is no business of documents. */
function kindHeaders(kind: ErrorKind): AnswerHeader[] {
  return Object.keys(headersOf(kind)).filter((name) => name in ANSWER_HEADERS) as AnswerHeader[];
}
