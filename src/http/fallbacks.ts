import type { ErrorRequestHandler, RequestHandler, Response } from "express";
import type { OnFault } from "../orders/faults.ts";
import { BadRequest, sendError } from "./answers.ts";

/** The end of a route, for the methods that it does not have. */
export function onlyMethods(...allowed: string[]): RequestHandler {
  const allow = allowed.join(", ");
  return (request, response) =>
    sendError(response, "method_not_allowed", `${request.method} is not allowed here, only ${allow}`, { Allow: allow });
}

/** The answer where no route matched. */
export const noSuchRoute: RequestHandler = (request, response) =>
  sendError(response, "not_found", `no route ${request.method} ${request.path}`);

/** The answer to an error that a handler threw: 400 with the rule where the client's request breaks it, otherwise 500. */
export function errorAnswers(report: OnFault): ErrorRequestHandler {
  const fail = faultAnswer(report);
  return (error: unknown, _request, response, _next) => {
    if (error instanceof BadRequest) return sendError(response, "bad_request", error.message);
    // An error of Express, such as a path that cannot be decoded.
    const { status } = error as { status?: number };
    if (status !== undefined && status >= 400 && status < 500) return sendError(response, "bad_request", "the request is malformed");
    fail(error, response);
  };
}

/** The answer to a fault of this service: 500 for the client, and the details for the log. */
export function faultAnswer(report: OnFault): (error: unknown, response: Response) => void {
  return (error, response) => {
    const { requestId, orderId } = response.locals;
    report("request failed", error, { request_id: requestId, ...(orderId !== undefined && { order_id: orderId }) });
    sendError(response, "internal", "internal error");
  };
}
