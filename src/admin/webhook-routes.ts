import type { Response } from "express";
import { BadRequest, sendJson } from "../http/answers.ts";
import type { Routes } from "../http/routes.ts";
import type { OperatorJournal } from "../orders/operator-journal.ts";
import { actorOf, type OnAction } from "./actions.ts";
import { NOTHING, readJson, readQuery, readSmallBody } from "./strict-input.ts";
import { ageSeconds } from "./times.ts";

/** The state and the controls of event delivery, for operators. */
export interface WebhookControl {
  /** The origin of the receiver's URL, without the path, which may hold a token. */
  readonly origin: string;
  state(): { readonly receiver: "up" | "down" | "disabled"; readonly inFlight: number };
  /** Delivers again after a 410. */
  resume(): void;
}

export interface WebhookParts {
  readonly journal: Pick<OperatorJournal, "backlog" | "noteAction">;
  /** Absent where no receiver is configured. */
  readonly webhooks?: WebhookControl;
  readonly onAction: OnAction;
}

export function webhookRoutes({ journal, webhooks, onAction }: WebhookParts): Routes {
  return {
    "/webhooks": {
      get: async (request, response) => {
        readQuery(request, NOTHING);
        await sendState(response);
      },
    },
    "/webhooks/resume": {
      post: [
        readSmallBody,
        async (request, response) => {
          readQuery(request, NOTHING);
          readJson(request, NOTHING);
          if (webhooks === undefined) throw new BadRequest("webhooks: there is no receiver; WEBHOOK_URL is not set");
          const act = { actor: actorOf(request), action: "resume" } as const;
          await journal.noteAction({ ...act, atMs: Date.now() });
          onAction(act);
          webhooks.resume();
          await sendState(response);
        },
      ],
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
