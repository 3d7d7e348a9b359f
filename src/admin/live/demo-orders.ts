import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { sendJson } from "../../http/answers.ts";
import { readOrder } from "../../http/order-body.ts";
import type { Routes } from "../../http/routes.ts";
import type { ErrorKind } from "../../orders/error-kind.ts";
import type { OrderService } from "../../orders/order-service.ts";
import { Refused } from "../../orders/refused.ts";
import { taking } from "../strict-input.ts";

const MAX_ORDERS = 5_000;
// After this pause the admission has forgotten the waits that earlier orders taught it.
const COME_AGAIN_MS = 50;
const MAX_TRIES = 200;
const COUNT_RULE = `must be a whole number from 1 to ${MAX_ORDERS}`;
const MS_RULE = "must be a whole number of milliseconds from 0 to 60000";
const OBJECT_RULE = "must be an object with the simulation fields of an order";

const DEMO = z.strictObject({
  count: z.int(COUNT_RULE).min(1, COUNT_RULE).max(MAX_ORDERS, COUNT_RULE).default(1),
  at_once: z.int(COUNT_RULE).min(1, COUNT_RULE).max(MAX_ORDERS, COUNT_RULE).optional(),
  order: z.record(z.string(), z.unknown(), OBJECT_RULE).default({}),
  hang_up_ms: z.int(MS_RULE).min(0, MS_RULE).max(60_000, MS_RULE).optional(),
});

interface DemoParts {
  readonly orderService: Pick<OrderService, "place">;
  readonly onRefused: (kind: ErrorKind) => void;
}

/**
 * `POST /chaos/orders`: places orders, `at_once` at a time, and answers what became of them. One that is refused as `overloaded` while
 * others wait is placed again, as clients should do. The page cannot place them: the public listener takes nothing from a page of another
 * origin.
 */
export function demoOrderRoutes({ orderService, onRefused }: DemoParts): Routes {
  return {
    "/chaos/orders": {
      post: taking(DEMO, async (_request, response, { count, at_once = count, order, hang_up_ms }) => {
        const prefix = `demo-${randomBytes(4).toString("hex")}`;
        const orders = Array.from({ length: count }, (_, n) =>
          readOrder(Buffer.from(JSON.stringify({ amount: 1_000, ...order, order_id: count === 1 ? prefix : `${prefix}-${n + 1}` }))),
        );
        const ended: Partial<Record<ErrorKind | "ok", number>> = {};
        let placedAgain = 0;
        const left = orders.values();
        // The clients share one iterator: each takes the next order.
        const client = async () => {
          for (const one of left) {
            let kind = await place(one);
            for (let tries = 1; kind === "overloaded" && at_once < count && tries < MAX_TRIES; tries++) {
              await sleep(COME_AGAIN_MS);
              placedAgain++;
              kind = await place(one);
            }
            ended[kind] = (ended[kind] ?? 0) + 1;
          }
        };
        await Promise.all(Array.from({ length: Math.min(at_once, count) }, client));
        const told = { status: "ok", first_order_id: orders[0]?.orderId, orders: count, ended, placed_again: placedAgain };
        sendJson(response, 200, JSON.stringify(told));

        async function place(one: (typeof orders)[number]): Promise<ErrorKind | "ok"> {
          try {
            const hangUp = new AbortController();
            const { answer } = await orderService.place({ order: one, signal: hangUp.signal });
            if (hang_up_ms !== undefined) void sleep(hang_up_ms).then(() => hangUp.abort());
            return (await answer).error ?? "ok";
          } catch (error) {
            if (!(error instanceof Refused)) throw error;
            onRefused(error.kind);
            return error.kind;
          }
        }
      }),
    },
  };
}
