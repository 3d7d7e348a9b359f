import { z } from "zod";
import { sendError, sendJson } from "../http/answers.ts";
import { BEFORE } from "../http/attempt-number.ts";
import { isOrderId } from "../http/order-id.ts";
import type { Routes } from "../http/routes.ts";
import { type OperatorAction, ORDER_STATUSES, type OrderSummary } from "../orders/operator-journal.ts";
import { viewOf } from "../orders/order-view.ts";
import type { OperatorParts } from "./operators.ts";
import { PAGE, pageJson, readCursor } from "./pages.ts";
import { readQuery } from "./strict-input.ts";
import { isoTime } from "./times.ts";

const STATUS_RULE = `must be one of ${ORDER_STATUSES.join(", ")}`;
// The rule mentions %2B because a plus sign in a query is a space.
const TIME_RULE = "must be a date or a time in ISO 8601 with Z or an offset (its + written %2B), or milliseconds since 1970";
const MILLISECONDS = /^\d{1,15}$/;
const isoText = z.union([z.iso.datetime({ offset: true }), z.iso.date()]);

const time = z
  .string(TIME_RULE)
  .refine((text) => MILLISECONDS.test(text) || isoText.safeParse(text).success, TIME_RULE)
  .transform((text) => (MILLISECONDS.test(text) ? Number(text) : Date.parse(text)))
  .optional();

const LIST = z.strictObject({ status: z.enum(ORDER_STATUSES, STATUS_RULE).optional(), since: time, until: time, ...PAGE });

/** `GET /orders`: orders by their latest attempt, newest first. */
export function orderListRoutes({ journal }: OperatorParts): Routes {
  return {
    "/orders": {
      get: async (request, response) => {
        const { status, since, until, limit, cursor } = readQuery(request, LIST);
        const list = `orders ${status ?? ""}`;
        const filter = {
          ...(status !== undefined && { status }),
          ...(since !== undefined && { sinceMs: since }),
          ...(until !== undefined && { untilMs: until }),
        };
        const page = await journal.orders(filter, readCursor(list, cursor), limit);
        sendJson(response, 200, pageJson("orders", list, page, show));
      },
    },
  };
}

function show({ orderId, attempt, amount, status, error, acceptedMs, endedMs }: OrderSummary): object {
  return {
    order_id: orderId,
    attempt,
    amount,
    status,
    error,
    accepted_at: isoTime(acceptedMs),
    ended_at: isoTime(endedMs),
  };
}

const LOOK_UP = z.strictObject({ before: BEFORE.optional() });

/** `GET /orders/{order_id}`: the view of the public listener, which takes nothing from this one's pages, and what operators did. */
export function orderLookupRoutes({ journal }: OperatorParts): Routes {
  return {
    "/orders/:order_id": {
      get: async (request, response) => {
        const { before } = readQuery(request, LOOK_UP);
        const orderId = String(request.params.order_id);
        response.locals.orderId = orderId;
        const record = isOrderId(orderId) ? await journal.find(orderId, before) : undefined;
        if (record === undefined) sendError(response, "not_found", "no such order");
        else
          sendJson(
            response,
            200,
            JSON.stringify({ ...viewOf(record), operator_actions: (await journal.actionsOn(orderId)).map(showAction) }),
          );
      },
    },
  };
}

function showAction({ atMs, actor, action, detail }: OperatorAction): object {
  return { at: isoTime(atMs), actor, action, detail };
}
