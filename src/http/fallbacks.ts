import type { ErrorRequestHandler, RequestHandler, Response } from "express";
import type { Logger } from "pino";
import { sendError } from "./answers.ts";
import { BadRequest } from "./bad-request.ts";

/** The answer where no route matched. */
export const noSuchRoute: RequestHandler = (request, response) =>
  sendError(response, "not_found", `no route ${request.method} ${request.path}`);

/** The answer to whatever a handler threw. What the client sent wrong is named; all else is a fault of ours. */
export function errorAnswers(log: Logger): ErrorRequestHandler {
  const fail = faultAnswer(log);
  return (error: unknown, _request, response, _next) => {
    if (error instanceof BadRequest) return sendError(response, "bad_request", error.message);
    const { type, status, limit } = error as { type?: string; status?: number; limit?: number };
    // The client hung up while it was still sending: there is nobody to answer.
    if (type === "request.aborted") return;
    if (type === "entity.too.large") return sendError(response, "payload_too_large", `body: must be at most ${limit} bytes`);
    if (type === "encoding.unsupported")
      return sendError(response, "bad_request", "Content-Encoding: must be identity, gzip, deflate or br");
    if (status !== undefined && status >= 400 && status < 500) return sendError(response, "bad_request", "the request is malformed");
    fail(error, response);
  };
}

/** The answer to a fault of ours: the client learns only that it happened, and the log gets the rest. */
export function faultAnswer(log: Logger): (error: unknown, response: Response) => void {
  return (error, response) => {
    log.error({ err: error }, "request failed");
    sendError(response, "internal", "internal error");
  };
}
