import type { IRouter, NextFunction, Request, Response } from "express";
import { monotonicMs } from "../concurrency/clock.ts";
import type { ErrorKind } from "../orders/error-kind.ts";
import type { OrderDesk, Placement, PlaceRequest } from "../orders/order-desk.ts";
import { JournalBusy, JournalUnavailable, type OrderJournal } from "../orders/order-journal.ts";
import { viewOf } from "../orders/order-view.ts";
import { Refused } from "../orders/refused.ts";
import { sendError, sendJson } from "./answers.ts";
import { BadRequest } from "./bad-request.ts";
import { forgetRequest } from "./forget-request.ts";
import { readIdempotencyKey } from "./idempotency-key.ts";
import { onlyMethods } from "./methods.ts";
import { readOrder } from "./order-body.ts";
import { isOrderId } from "./order-id.ts";
import { readBody } from "./read-body.ts";
import { STATUS } from "./status.ts";
import { type TraceUse, traceOf } from "./trace-context.ts";

export interface OrderParts {
  readonly desk: OrderDesk;
  readonly journal: Pick<OrderJournal, "find">;
  /** All providers are simulated: the simulation fields are allowed. */
  readonly simulated: boolean;
  readonly traces: TraceUse;
  /** An order was refused before any of its steps began. */
  readonly onRefused?: (kind: ErrorKind) => void;
}

const MAX_BODY_BYTES = 16 * 1024;
// Until clients are told apart, all keys are of one client.
const ANYONE = "";
const REPLAYED = { "Idempotent-Replayed": "true" };

/**
 * Adds `POST /order` and `GET /order/{order_id}` to the application itself, before any middleware: a router within it, or
 * a layer in front, costs every order a walk of its own. `fail` answers what went wrong after an order was taken in.
 */
export function addOrderRoutes(
  router: IRouter,
  { desk, journal, simulated, traces, onRefused }: OrderParts,
  fail: (error: unknown, response: Response) => void,
): void {
  router.route("/order").post(readBody(MAX_BODY_BYTES), placeOrder).all(onlyMethods("POST"));
  router.route("/order/:order_id").get(checkOrderId, showOrder).all(onlyMethods("GET", "HEAD"));

  // Gives Express no promise and takes no `next`: from either hangs all that its routers have made for this request.
  function placeOrder(request: Request, response: Response): void {
    const placing = readRequest(request, response.locals.requestId);
    response.locals.orderId = placing.order.orderId;
    desk.place(placing).then(
      (placement) => {
        forgetRequest(request);
        answerWhenEnded(placement, response);
      },
      (error: unknown) => {
        if (error instanceof Refused) {
          onRefused?.(error.kind);
          sendError(response, error.kind, error.message);
        } else fail(error, response);
      },
    );
  }

  function answerWhenEnded({ answer, replayed, leave }: Placement, response: Response): void {
    // The client may have hung up while the order was being written down.
    if (response.closed) leave();
    // Fires after every answer too; leaving an order that has ended does nothing.
    else response.on("close", leave);
    answer.then(
      ({ error, json }) => sendJson(response, error === undefined ? 200 : STATUS[error], json, replayed ? REPLAYED : {}),
      (error: unknown) => fail(error, response),
    );
  }

  function readRequest({ body, headers }: Request, requestId: string): PlaceRequest {
    // No body at all leaves none behind.
    const order = readOrder(body instanceof Buffer ? body : Buffer.alloc(0), simulated);
    const key = readIdempotencyKey(headers["idempotency-key"], order, ANYONE, Date.now());
    return {
      order,
      requestId,
      receivedAtMs: monotonicMs(),
      ...(key !== undefined && { key }),
      ...traceOf(headers.traceparent, traces),
    };
  }

  /** No order has an id that breaks the rule, so there is no need to look. */
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

function readBefore(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string" || !/^[1-9]\d{0,14}$/.test(value))
    throw new BadRequest("before: must be the number of an attempt, 1 or more");
  return Number(value);
}
