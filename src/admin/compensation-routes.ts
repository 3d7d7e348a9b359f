import type { Response } from "express";
import { z } from "zod";
import { BadRequest, sendError, sendJson } from "../http/answers.ts";
import type { Routes } from "../http/routes.ts";
import { COMPENSATION_STATES } from "../orders/compensation-state.ts";
import type { CompensationRow } from "../orders/operator-journal.ts";
import { actorOf, type OperatorParts } from "./operators.ts";
import { PAGE, pageJson, readCursor } from "./pages.ts";
import { NOTHING, readQuery, taking } from "./strict-input.ts";
import { ageSeconds, isoTime } from "./times.ts";

const STATE_RULE = `must be one of ${COMPENSATION_STATES.join(", ")}`;
const LIST = z.strictObject({ state: z.enum(COMPENSATION_STATES, STATE_RULE).default("pending"), ...PAGE });

const MAX_NOTE = 1_000;
const NOTE_RULE = `must be a string of 1 to ${MAX_NOTE} characters that is not blank and has no NUL`;
const SETTLE = z.strictObject({ note: z.string(NOTE_RULE).refine(isNote, NOTE_RULE) });
// Retries by hand bypass the provider's bulkhead, so they must not take the capacity of orders while a provider hangs.
const MAX_RETRYING = 32;

/** `GET /compensations`, and two routes that try a pending one now or mark it as settled by hand. */
export function compensationRoutes({ journal, compensator, onDue, onAction }: OperatorParts): Routes {
  let retrying = 0;

  return {
    "/compensations": {
      get: async (request, response) => {
        const { state, limit, cursor } = readQuery(request, LIST);
        const list = `compensations ${state}`;
        const page = await journal.compensations(state, readCursor(list, cursor), limit);
        sendJson(response, 200, pageJson("compensations", list, page, showNow));
      },
    },
    "/compensations/:id/retry": {
      post: taking(NOTHING, async (request, response) => {
        const id = journal.rowIdOf(String(request.params.id));
        if (id === undefined) return notFound(response);
        if (retrying >= MAX_RETRYING) {
          sendError(response, "overloaded", `${MAX_RETRYING} compensations are being retried already`);
          return;
        }
        retrying++;
        let row: CompensationRow | undefined;
        try {
          const actor = actorOf(request);
          row = await journal.takeCompensation(id, Date.now(), actor);
          if (row?.status === "pending") {
            onAction({ actor, action: "retry", ...fieldsOf(row) });
            await compensator.tryNow(row);
          }
        } finally {
          retrying--;
        }
        if (row === undefined) return notFound(response);
        if (row.status !== "pending") return refuse(response, row, "tried");
        // Found again: retention deletes only what ended days ago.
        sendRow(response, (await journal.compensation(row.id)) ?? row);
      }),
    },
    "/compensations/:id/settle": {
      post: taking(SETTLE, async (request, response, { note }) => {
        const id = journal.rowIdOf(String(request.params.id));
        const [nowMs, actor] = [Date.now(), actorOf(request)];
        const row = id === undefined ? undefined : await journal.settleCompensation(id, note, nowMs, actor);
        if (row === undefined) return notFound(response);
        // A client that repeats a lost request gets the same answer.
        if (row.status !== "settled" || row.note !== note) return refuse(response, row, "settled");
        if (row.endedMs === nowMs) onAction({ actor, action: "settle", ...fieldsOf(row), note });
        onDue();
        sendRow(response, row);
      }),
    },
  };

  /** As it is now, with what holds it back. */
  function showNow(row: CompensationRow): object {
    const { status, nextTryMs = 0, step, tries } = row;
    if (status !== "pending") return show(row);
    return { ...show(row), held_back_by: nextTryMs > Date.now() ? "backoff" : compensator.waitsFor(step, tries) };
  }
}

function isNote(text: string): boolean {
  // A note comes back as it was written, and PostgreSQL has no text with NUL in it.
  return text.trim() !== "" && text.isWellFormed() && !text.includes("\0") && [...text].length <= MAX_NOTE;
}

function fieldsOf({ id, orderId, attempt, step }: CompensationRow): object {
  return { order_id: orderId, compensation: id, attempt, step };
}

function notFound(response: Response): void {
  sendError(response, "not_found", "no such compensation");
}

/** 409 where that may pass: its try is under way, or it waits for the word after a restore. */
function refuse(response: Response, { id, status }: CompensationRow, what: string): void {
  if (status === "trying")
    sendError(response, "order_conflict", `id: compensation ${id} is being tried; it can be ${what} when that has ended`);
  else if (status === "held") sendError(response, "order_conflict", `id: compensation ${id} is held since a restore; confirm it first`);
  else throw new BadRequest(`id: compensation ${id} is ${status} already; only a pending one can be ${what}`);
}

function sendRow(response: Response, row: CompensationRow): void {
  sendJson(response, 200, JSON.stringify(show(row)));
}

function show(row: CompensationRow): object {
  return {
    id: row.id,
    order_id: row.orderId,
    attempt: row.attempt,
    step: row.step,
    amount: row.amount,
    state: row.status,
    // Until now, or until it ended.
    age_seconds: ageSeconds(row.sinceMs, row.endedMs),
    tries: row.tries,
    next_try_at: isoTime(row.nextTryMs),
    last_answer: row.lastAnswer,
    note: row.note,
    ended_at: isoTime(row.endedMs),
  };
}
