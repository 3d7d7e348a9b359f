import { z } from "zod";
import { sendError, sendJson } from "../http/answers.ts";
import { BEFORE } from "../http/attempt-number.ts";
import { isOrderId } from "../http/order-id.ts";
import type { Routes } from "../http/routes.ts";
import type { OperatorAction, OperatorJournal } from "../orders/operator-journal.ts";
import type { OrderJournal } from "../orders/order-journal.ts";
import { viewOf } from "../orders/order-view.ts";
import { readQuery } from "./strict-input.ts";
import { isoTime } from "./times.ts";

const QUERY = z.strictObject({ before: BEFORE.optional() });

/**
 * `GET /orders/{order_id}`: the same view as on the public listener, which refuses requests from the pages of this one, and what operators did
 * about the order.
 */
export function orderLookupRoutes(journal: Pick<OrderJournal, "find"> & Pick<OperatorJournal, "actionsOn">): Routes {
  return {
    "/orders/:order_id": {
      get: async (request, response) => {
        const { before } = readQuery(request, QUERY);
        const orderId = String(request.params.order_id);
        response.locals.orderId = orderId;
        const record = isOrderId(orderId) ? await journal.find(orderId, before) : undefined;
        if (record === undefined) sendError(response, "not_found", "no such order");
        else sendJson(response, 200, JSON.stringify({ ...viewOf(record), operator_actions: (await journal.actionsOn(orderId)).map(show) }));
      },
    },
  };
}

function show({ atMs, actor, action, detail }: OperatorAction): object {
  return { at: isoTime(atMs), actor, action, ...(detail !== undefined && { detail }) };
}
