import { z } from "zod";
import { sendError, sendJson } from "../http/answers.ts";
import type { Routes } from "../http/routes.ts";
import type { DeadLetter, OperatorJournal } from "../orders/operator-journal.ts";
import { actorOf, type OnAction } from "./actions.ts";
import { PAGE, pageJson, readCursor } from "./pages.ts";
import { NOTHING, readJson, readQuery, readSmallBody } from "./strict-input.ts";
import { isoTime } from "./times.ts";

export interface DeadLetterParts {
  readonly journal: Pick<OperatorJournal, "rowIdOf" | "deadLetters" | "redeliver">;
  /** An event waits in the outbox again. */
  readonly onRedelivered: () => void;
  readonly onAction: OnAction;
}

const LIST = z.strictObject(PAGE);
const NAME = "dead_letters";

/** `GET /dead-letters`, and a route that delivers one of them after all. */
export function deadLetterRoutes({ journal, onRedelivered, onAction }: DeadLetterParts): Routes {
  return {
    "/dead-letters": {
      get: async (request, response) => {
        const { limit, cursor } = readQuery(request, LIST);
        const page = await journal.deadLetters(readCursor(NAME, cursor), limit);
        sendJson(response, 200, pageJson(NAME, NAME, page, show));
      },
    },
    "/dead-letters/:id/redeliver": {
      post: [
        readSmallBody,
        async (request, response) => {
          readQuery(request, NOTHING);
          readJson(request, NOTHING);
          const id = journal.rowIdOf(String(request.params.id));
          const actor = actorOf(request);
          if (id === undefined || !(await journal.redeliver(id, Date.now(), actor))) {
            sendError(response, "not_found", "no such dead letter");
            return;
          }
          onAction({ actor, action: "redeliver", event: id });
          onRedelivered();
          sendJson(response, 200, JSON.stringify({ status: "ok", id }));
        },
      ],
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
