import { type Request, type Response, Router } from "express";
import { z } from "zod";
import { BadRequest, sendError, sendJson } from "../http/answers.ts";
import { onlyMethods } from "../http/fallbacks.ts";
import { readBody } from "../http/read-body.ts";
import type { CompensationRow, OperatorJournal } from "../orders/operator-journal.ts";
import type { Compensation, CompensationStatus } from "../orders/order-journal.ts";
import { PAGE, pageJson, readCursor } from "./pages.ts";
import { NOTHING, readJson, readQuery } from "./strict-input.ts";
import { ageSeconds, isoTime } from "./times.ts";

export interface CompensationParts {
  readonly journal: Pick<OperatorJournal, "rowIdOf" | "compensations" | "compensation" | "settleCompensation">;
  readonly compensator: {
    /** Resolves when a try has ended and is written down. */
    tryNow(compensation: Compensation): Promise<void>;
    /** Ends the tries: an operator has settled it. */
    forget(compensation: Pick<Compensation, "id" | "step">): void;
  };
  readonly onSettled: (row: CompensationRow) => void;
}

const STATES = ["pending", "done", "settled"] as const satisfies readonly CompensationStatus[];
const STATE_RULE = `must be one of ${STATES.join(", ")}`;
const LIST = z.strictObject({ state: z.enum(STATES, STATE_RULE).default("pending"), ...PAGE });

const MAX_NOTE = 1_000;
const NOTE_RULE = `must be a string of 1 to ${MAX_NOTE} characters that is not blank`;
const SETTLE = z.strictObject({ note: z.string(NOTE_RULE).refine(isNote, NOTE_RULE) });
// Retries by hand bypass the provider's bulkhead, so they must not take the capacity of orders while a provider hangs.
const MAX_RETRYING = 32;
// Enough for a note of escaped surrogate pairs, 12 bytes a character.
const MAX_BODY_BYTES = 16 * 1024;

/** `GET /compensations`, and two routes that try a pending one now or mark it as settled by hand. */
export function compensationRoutes({ journal, compensator, onSettled }: CompensationParts): Router {
  const router = Router({ caseSensitive: true, strict: true });
  let retrying = 0;

  router
    .route("/compensations")
    .get(async (request: Request, response: Response) => {
      const { state, limit, cursor } = readQuery(request, LIST);
      const list = `compensations ${state}`;
      const page = await journal.compensations(state, readCursor(list, cursor), limit);
      sendJson(response, 200, pageJson("compensations", list, page, show));
    })
    .all(onlyMethods("GET", "HEAD"));

  router
    .route("/compensations/:id/retry")
    .post(readBody(MAX_BODY_BYTES), async (request: Request, response: Response) => {
      readQuery(request, NOTHING);
      readJson(request, NOTHING);
      const row = await rowOf(request);
      if (row === undefined) return notFound(response);
      if (row.status !== "pending") throw notPending(row, "tried");
      if (retrying >= MAX_RETRYING) {
        sendError(response, "overloaded", `${MAX_RETRYING} compensations are being retried already`);
        return;
      }
      retrying++;
      try {
        await compensator.tryNow(row);
      } finally {
        retrying--;
      }
      // Found again: retention deletes only what ended days ago.
      sendRow(response, (await journal.compensation(row.id)) ?? row);
    })
    .all(onlyMethods("POST"));

  router
    .route("/compensations/:id/settle")
    .post(readBody(MAX_BODY_BYTES), async (request: Request, response: Response) => {
      readQuery(request, NOTHING);
      const { note } = readJson(request, SETTLE);
      const id = journal.rowIdOf(String(request.params.id));
      const row = id === undefined ? undefined : await journal.settleCompensation(id, note, Date.now());
      if (row === undefined) return notFound(response);
      // A client that repeats a lost request gets the same answer.
      if (row.status !== "settled" || row.note !== note) throw notPending(row, "settled");
      // The provider must not refund what was paid back by other means; only a try under way cannot be stopped.
      compensator.forget(row);
      onSettled(row);
      sendRow(response, row);
    })
    .all(onlyMethods("POST"));

  return router;

  async function rowOf(request: Request): Promise<CompensationRow | undefined> {
    const id = journal.rowIdOf(String(request.params.id));
    return id === undefined ? undefined : await journal.compensation(id);
  }
}

function isNote(text: string): boolean {
  return text.trim() !== "" && text.isWellFormed() && [...text].length <= MAX_NOTE;
}

function notFound(response: Response): void {
  sendError(response, "not_found", "no such compensation");
}

function notPending({ id, status }: CompensationRow, what: string): BadRequest {
  return new BadRequest(`id: compensation ${id} is ${status} already; only a pending one can be ${what}`);
}

function sendRow(response: Response, row: CompensationRow): void {
  sendJson(response, 200, JSON.stringify(show(row)));
}

function show({
  id,
  orderId,
  attempt,
  step,
  amount,
  status,
  sinceMs,
  tries,
  nextTryMs,
  lastAnswer,
  note,
  endedMs,
}: CompensationRow): object {
  return {
    id,
    order_id: orderId,
    attempt,
    step,
    amount,
    state: status,
    // Until now, or until it ended.
    age_seconds: ageSeconds(sinceMs, endedMs),
    tries,
    ...(nextTryMs !== undefined && { next_try_at: isoTime(nextTryMs) }),
    ...(lastAnswer !== undefined && { last_answer: lastAnswer }),
    ...(note !== undefined && { note }),
    ...(endedMs !== undefined && { ended_at: isoTime(endedMs) }),
  };
}
