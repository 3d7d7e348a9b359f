import type { Response } from "express";
import { z } from "zod";
import { BadRequest, sendError, sendJson } from "../http/answers.ts";
import type { Routes } from "../http/routes.ts";
import type { DeadLetter } from "../orders/operator-journal.ts";
import { actorOf, type OperatorParts } from "./operators.ts";
import { PAGE, pageJson, readCursor } from "./pages.ts";
import { NOTHING, readQuery, taking } from "./strict-input.ts";
import { ageSeconds, isoTime } from "./times.ts";

/** `GET /webhooks`, and a route that delivers again after a 410. */
export function webhookRoutes({ journal, webhooks, onAction }: OperatorParts): Routes {
  return {
    "/webhooks": {
      get: async (request, response) => {
        readQuery(request, NOTHING);
        await sendState(response);
      },
    },
    "/webhooks/resume": {
      post: taking(NOTHING, async (request, response) => {
        if (webhooks === undefined) throw new BadRequest("webhooks: there is no receiver; WEBHOOK_URL is not set");
        const act = { actor: actorOf(request), action: "resume" } as const;
        await journal.noteAction({ ...act, atMs: Date.now() });
        onAction(act);
        webhooks.resume();
        await sendState(response);
      }),
    },
  };

  async function sendState(response: Response): Promise<void> {
    const { events, deadLetters } = await journal.backlog();
    const { receiver, inFlight } = webhooks?.state() ?? { receiver: "none", inFlight: 0 };
    const state = {
      receiver,
      ...(webhooks !== undefined && { origin: webhooks.origin }),
      pending: events.count,
      ...(events.sinceMs !== undefined && { oldest_age_seconds: ageSeconds(events.sinceMs) }),
      in_flight: inFlight,
      dead_letters: deadLetters,
    };
    sendJson(response, 200, JSON.stringify(state));
  }
}

const DEAD_LETTERS = z.strictObject(PAGE);
const NAME = "dead_letters";

/** `GET /dead-letters`, and a route that delivers one of them after all. */
export function deadLetterRoutes({ journal, onDue, onAction }: OperatorParts): Routes {
  return {
    "/dead-letters": {
      get: async (request, response) => {
        const { limit, cursor } = readQuery(request, DEAD_LETTERS);
        const page = await journal.deadLetters(readCursor(NAME, cursor), limit);
        sendJson(response, 200, pageJson(NAME, NAME, page, show));
      },
    },
    "/dead-letters/:id/redeliver": {
      post: taking(NOTHING, async (request, response) => {
        const id = journal.rowIdOf(String(request.params.id));
        const actor = actorOf(request);
        if (id === undefined || !(await journal.redeliver(id, Date.now(), actor))) {
          sendError(response, "not_found", "no such dead letter");
          return;
        }
        onAction({ actor, action: "redeliver", event: id });
        onDue();
        sendJson(response, 200, JSON.stringify({ status: "ok", id }));
      }),
    },
  };
}

function show({ seq, id, orderId, payload, createdMs, givenUpMs, reason }: DeadLetter): object {
  return {
    id: seq,
    webhook_id: id,
    order_id: orderId,
    type: (JSON.parse(payload) as { type: string }).type,
    created_at: isoTime(createdMs),
    given_up_at: isoTime(givenUpMs),
    reason,
  };
}
