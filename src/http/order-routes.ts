import type { NextFunction, Request, RequestHandler, Response } from "express";
import { AnswerLost } from "../orders/attempt-runner.ts";
import type { ErrorKind } from "../orders/error-kind.ts";
import { JournalBusy, JournalUnavailable, type OrderJournal } from "../orders/order-journal.ts";
import type { OrderService, Placement, PlaceRequest } from "../orders/order-service.ts";
import { viewOf } from "../orders/order-view.ts";
import { Refused } from "../orders/refused.ts";
import { Canceled, monotonicMs } from "../threads/index.ts";
import type { AccessKeys } from "./access-keys.ts";
import { sendError, sendJson, sendNothing } from "./answers.ts";
import { readBefore } from "./attempt-number.ts";
import { forgetRequest } from "./forget-request.ts";
import { readIdempotencyKey } from "./idempotency-key.ts";
import { needsKey } from "./needs-key.ts";
import { readOrder } from "./order-body.ts";
import { isOrderId } from "./order-id.ts";
import { readPriority } from "./priority.ts";
import { limitRate, type TokenBuckets } from "./rate-limit.ts";
import { readBody } from "./read-body.ts";
import type { Routes } from "./routes.ts";
import { statusOf } from "./status.ts";
import { type TraceUse, traceOf } from "./trace-context.ts";

export interface OrderParts {
  readonly orderService: Pick<OrderService, "place">;
  readonly journal: Pick<OrderJournal, "find">;
  /** All providers are simulated, so the simulation fields are allowed. */
  readonly simulated: boolean;
  readonly traces: TraceUse;
  /** An order was refused before any of its steps began. */
  readonly onRefused?: (kind: ErrorKind) => void;
  /** Absent: no request needs a key. */
  readonly keys?: AccessKeys;
  /** Absent: no rate limit. */
  readonly buckets?: TokenBuckets;
}

/** The one name of all clients without an API key: an address changes hands. */
const ANYONE = "";
const REPLAYED = { "Idempotent-Replayed": "true" };

/** `POST /order` and `GET /order/{order_id}`. `fail` answers when something goes wrong after an order was taken in. */
export function orderRoutes(
  { orderService, journal, simulated, traces, onRefused, keys, buckets }: OrderParts,
  fail: (error: unknown, response: Response) => void,
): Routes {
  const identified: RequestHandler[] = keys === undefined ? [] : [needsKey(keys)];
  const limited: RequestHandler[] = buckets === undefined ? [] : [limitRate(buckets, onRefused)];
  return {
    // Keys and rates come first, so that the body of a refused request is not read.
    "/order": { post: [...identified, ...limited, readBody, placeOrder] },
    "/order/:order_id": { get: [...identified, checkOrderId, showOrder] },
  };

  // Gives Express no promise and takes no `next`: either keeps all that the routers have made for this request. An async handler keeps 14 %
  // more of a waiting order (docs/performance.md).
  function placeOrder(request: Request, response: Response): void {
    const { requestId, client } = response.locals;
    const placing = readRequest(request, requestId, client, hangUpOf(response));
    response.locals.orderId = placing.order.orderId;
    orderService.place(placing).then(
      (placement) => {
        forgetRequest(request);
        answerWhenEnded(placement, response);
      },
      (error: unknown) => answerError(error, response),
    );
  }

  function answerWhenEnded({ answer, replayed }: Placement, response: Response): void {
    answer.then(
      ({ error, json, retryAfterMs }) =>
        sendJson(response, statusOf(error), json, replayed ? REPLAYED : retryAfter(toSeconds(retryAfterMs))),
      (error: unknown) => answerError(error, response),
    );
  }

  function answerError(error: unknown, response: Response): void {
    if (error instanceof Refused) {
      onRefused?.(error.kind);
      sendError(response, error.kind, error.message, retryAfter(error.retryAfterSeconds));
    } else if (error instanceof AnswerLost) sendNothing(response);
    else fail(error, response);
  }

  function readRequest({ body, headers }: Request, requestId: string, client: string | undefined, signal: AbortSignal): PlaceRequest {
    // `body` is undefined for a request without a body.
    const order = readOrder(body instanceof Buffer ? body : Buffer.alloc(0), simulated);
    const key = readIdempotencyKey(headers["idempotency-key"], order, client ?? ANYONE, Date.now());
    const priority = readPriority(headers.priority);
    return {
      order,
      requestId,
      priority,
      receivedAtMs: monotonicMs(),
      signal,
      ...(key !== undefined && { key }),
      ...traceOf(headers.traceparent, traces),
    };
  }

  /** An id that breaks the rule is answered without a look into the journal: no order has it. */
  function checkOrderId(request: Request, response: Response, next: NextFunction): void {
    const orderId = String(request.params.order_id);
    if (!isOrderId(orderId)) {
      sendError(response, "not_found", "no such order");
      return;
    }
    response.locals.orderId = orderId;
    next();
  }

  async function showOrder(request: Request, response: Response): Promise<void> {
    const orderId = String(request.params.order_id);
    const before = readBefore(request.query.before);
    try {
      const record = await journal.find(orderId, before);
      if (record === undefined) sendError(response, "not_found", "no such order");
      else sendJson(response, 200, JSON.stringify(viewOf(record)));
    } catch (error) {
      if (error instanceof JournalBusy) sendError(response, "overloaded", "too many orders are being looked up");
      else if (error instanceof JournalUnavailable) sendError(response, "internal", "the order could not be looked up");
      else throw error;
    }
  }
}

/** The signal is aborted when the client hangs up before its answer is sent. */
function hangUpOf(response: Response): AbortSignal {
  const hangUp = new AbortController();
  // `close` comes after every answer, too.
  response.on("close", () => response.writableEnded || hangUp.abort(new Canceled("client_disconnected")));
  return hangUp.signal;
}

function retryAfter(seconds: number | undefined): Readonly<Record<string, string>> {
  return seconds === undefined ? {} : { "Retry-After": String(seconds) };
}

function toSeconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.max(1, Math.ceil(ms / 1_000));
}
