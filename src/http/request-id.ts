import type { ErrorRequestHandler, Request, RequestHandler, Response } from "express";

// What is echoed goes into logs: visible ASCII of a sane length, or it is replaced.
const ACCEPTABLE = /^[\x21-\x7e]{1,128}$/;

/**
 * Has the answer carry the `X-Request-Id` of its request; null in `locals` has it make one. Not set as a header at once,
 * nor made: an order may wait for minutes, and Node makes an id of 16 strings that it only joins when it is written.
 */
export const requestId: RequestHandler = (request, response, next) => {
  noteRequestId(request, response);
  next();
};

/** The same for an error that came up while a route was looked for, such as a path that cannot be decoded. */
export const requestIdOfError: ErrorRequestHandler = (error: unknown, request, response, next) => {
  if (response.locals.requestId === undefined) noteRequestId(request, response);
  next(error);
};

function noteRequestId(request: Request, response: Response): void {
  const given = request.headers["x-request-id"];
  response.locals.requestId = typeof given === "string" && ACCEPTABLE.test(given) ? given : null;
}
