import { type ErrorKind, STEP_ERRORS } from "../orders/error-kind.ts";

/** What a client sees of an error kind: its status, and when it comes (a phrase for documents, code in backticks). */
export interface ErrorAnswer {
  readonly status: number;
  readonly when: string;
}

const ANSWERS: Readonly<Record<ErrorKind, ErrorAnswer>> = {
  ...STEP_ERRORS,
  bad_request: { status: 400, when: "the body or a header breaks a rule; the message names field and rule" },
  unauthorized: { status: 401, when: "API keys, or keys of the admin listener, are configured and none of them was sent" },
  forbidden: { status: 403, when: "the `Host` is not one of this server's, or a browser sent the request from another site" },
  not_found: { status: 404, when: "no such route or order" },
  method_not_allowed: { status: 405, when: "with an `Allow` header" },
  canceled: { status: 408, when: "the order was canceled from outside (client gone, shutdown)" },
  request_timeout: { status: 408, when: "headers or body came too slowly; with `Connection: close`" },
  order_conflict: { status: 409, when: "the id is placed, or being placed, with another amount, or the order is held since a restore" },
  payload_too_large: { status: 413, when: "body over 16 KiB; answered as soon as its declared length says so, with `Connection: close`" },
  idempotency_mismatch: { status: 422, when: "the key was used with another body" },
  rate_limited: { status: 429, when: "this client sends more orders than `RATE_LIMIT` lets it; with `Retry-After`" },
  headers_too_large: { status: 431, when: "more than 16 KiB of headers" },
  internal: { status: 500, when: "anything unclassified: a lost thread, an order that could not be written down" },
  overloaded: {
    status: 503,
    when: "the order would wait too long, too many are in flight, too many are being looked up, the server is starting, or more than 100 requests are in line on one connection, where one at a time is served (it ends then); with `Retry-After`",
  },
  shutting_down: { status: 503, when: "the server is draining; with `Retry-After` and `Connection: close`" },
  timeout: { status: 504, when: "the order's deadline passed" },
};

/** The one table of error kinds, by status: statuses, the OpenAPI document and the table of docs/api.md come from it. */
export const ERROR_ANSWERS = Object.fromEntries(
  Object.entries(ANSWERS).sort(([, one], [, other]) => one.status - other.status),
) as typeof ANSWERS;

/** The HTTP status of each error kind. */
export const STATUS = Object.fromEntries(Object.entries(ERROR_ANSWERS).map(([kind, { status }]) => [kind, status])) as Readonly<
  Record<ErrorKind, number>
>;

/** The status of a stored answer. A journal may hold kinds of steps that only another version has. */
export function statusOf(error: string | undefined): number {
  return error === undefined ? 200 : (STATUS[error as ErrorKind] ?? STATUS.internal);
}

// For refusals that admission has nothing to say about: long enough not to hammer, short enough for a client to wait. A client that
// sent too many has its next token by then, for at least one comes in each second.
const RETRY_AFTER_SECONDS = "1";

/** Headers that answers of a kind carry besides their body. */
export function headersOf(kind: ErrorKind): Readonly<Record<string, string>> {
  switch (kind) {
    case "overloaded":
    case "rate_limited":
      return { "Retry-After": RETRY_AFTER_SECONDS };
    case "shutting_down":
      return { "Retry-After": RETRY_AFTER_SECONDS, Connection: "close" };
    case "request_timeout":
    case "headers_too_large":
      return { Connection: "close" };
    default:
      return {};
  }
}
