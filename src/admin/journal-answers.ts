import type { ErrorRequestHandler } from "express";
import { sendError } from "../http/answers.ts";
import { JournalBusy, JournalUnavailable } from "../orders/order-journal.ts";

/** The answer where the journal could not do what was asked of it. Operators are told why; nothing has happened. */
export const journalAnswers: ErrorRequestHandler = (error: unknown, _request, response, next) => {
  if (error instanceof JournalBusy) sendError(response, "overloaded", `the journal is busy: ${error.message}`);
  else if (error instanceof JournalUnavailable) sendError(response, "internal", `the journal could not do that: ${error.message}`);
  else next(error);
};
