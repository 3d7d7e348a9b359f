import { type Request, type Response, Router } from "express";
import { BadRequest, sendJson } from "../http/answers.ts";
import { onlyMethods } from "../http/fallbacks.ts";
import type { OperatorJournal } from "../orders/operator-journal.ts";
import { actorOf } from "./admin-keys.ts";
import type { OnAction } from "./on-action.ts";
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

export function webhookRoutes({ journal, webhooks, onAction }: WebhookParts): Router {
  const router = Router({ caseSensitive: true, strict: true });

  router
    .route("/webhooks")
    .get(async (request: Request, response: Response) => {
      readQuery(request, NOTHING);
      await sendState(response);
    })
    .all(onlyMethods("GET", "HEAD"));

  router
    .route("/webhooks/resume")
    .post(readSmallBody, async (request: Request, response: Response) => {
      readQuery(request, NOTHING);
      readJson(request, NOTHING);
      if (webhooks === undefined) throw new BadRequest("webhooks: there is no receiver; WEBHOOK_URL is not set");
      const act = { actor: actorOf(request), action: "resume" } as const;
      await journal.noteAction({ ...act, atMs: Date.now() });
      onAction(act);
      webhooks.resume();
      await sendState(response);
    })
    .all(onlyMethods("POST"));

  return router;

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
