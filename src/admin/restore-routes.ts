import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { BadRequest, sendError, sendJson } from "../http/answers.ts";
import { isOrderId } from "../http/order-id.ts";
import type { Routes } from "../http/routes.ts";
import type { HeldAttempt } from "../orders/operator-journal.ts";
import { actorOf, type OperatorParts } from "./operators.ts";
import { PAGE, pageFields, readCursor } from "./pages.ts";
import { readQuery, taking } from "./strict-input.ts";
import { isoTime } from "./times.ts";

const LIST = z.strictObject(PAGE);
const NAME = "held";
const ALL_RULE = "must be true, or be left out";
const ORDER_RULE = "must be a string";
const CONFIRM = z.strictObject({ all: z.literal(true, ALL_RULE).optional(), order_id: z.string(ORDER_RULE).optional() });
// Small batches with pauses between them, as in housekeeping: an order waits for one batch at most, some milliseconds. A million compensations
// take a few minutes.
const ATTEMPTS_A_BATCH = 50;
const PAUSE_MS = 20;

/** `GET /restore`: what of a restored backup is held. `POST /restore/confirm`: the word that lets it go on. */
export function restoreRoutes({ journal, onDue, onAction }: OperatorParts): Routes {
  return {
    "/restore": {
      get: async (request, response) => {
        const { limit, cursor } = readQuery(request, LIST);
        const after = readCursor(NAME, cursor);
        const [{ restoredMs, orders, compensations }, page] = await Promise.all([journal.restore(), journal.heldAttempts(after, limit)]);
        const restored_at = isoTime(restoredMs) ?? null;
        sendJson(response, 200, JSON.stringify({ restored_at, orders, compensations, ...pageFields(NAME, NAME, page, show) }));
      },
    },
    "/restore/confirm": {
      post: taking(CONFIRM, async (request, response, { all, order_id }) => {
        if (all !== undefined && order_id !== undefined) throw new BadRequest("order_id: cannot be given together with all");
        const actor = actorOf(request);
        const compensations = order_id !== undefined && !isOrderId(order_id) ? 0 : await confirm(order_id, actor);
        if (order_id !== undefined && compensations === 0) {
          sendError(response, "not_found", "nothing of that order is held");
          return;
        }
        const of = order_id === undefined ? {} : { order_id };
        if (compensations > 0) onAction({ actor, action: "confirm", ...of, compensations });
        sendJson(response, 200, JSON.stringify({ status: "ok", ...of, compensations }));
      }),
    },
  };

  /** Returns how many were let go. What was not reached when the journal cannot be written stays held. */
  async function confirm(orderId: string | undefined, actor: string): Promise<number> {
    for (let confirmed = 0; ; ) {
      const { compensations, isAll } = await journal.confirmRestore(orderId, Date.now(), ATTEMPTS_A_BATCH, actor);
      confirmed += compensations;
      if (compensations > 0) onDue();
      if (isAll) return confirmed;
      await pause(PAUSE_MS);
    }
  }
}

function show({ orderId, attempt, amount, acceptedMs, endedMs, compensations }: HeldAttempt): object {
  return {
    order_id: orderId,
    attempt,
    amount,
    // Of one that was running nobody knows how it ended.
    was: endedMs === undefined ? "running" : "failed",
    accepted_at: isoTime(acceptedMs),
    ended_at: isoTime(endedMs),
    compensations: compensations.map(({ id, step, tries, lastAnswer }) => ({
      id,
      step,
      tries,
      last_answer: lastAnswer,
    })),
  };
}
