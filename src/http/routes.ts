import express, { type ErrorRequestHandler, type Express, type IRouter, type RequestHandler, type Response } from "express";
import type { OnFault } from "../orders/faults.ts";
import { BadRequest, sendError } from "./answers.ts";

type Handlers = RequestHandler | readonly RequestHandler[];

/** By path, what answers its methods. Any other method gets 405. */
export type Routes = Readonly<
  Record<
    string,
    {
      readonly get?: Handlers;
      /** False where HEAD must not run what `get` does. */
      readonly head?: false;
      readonly post?: Handlers;
    }
  >
>;

export function newApp(): Express {
  const app = express();
  app.disable("x-powered-by");
  app.enable("case sensitive routing");
  app.enable("strict routing");
  return app;
}

export function addRoutes(router: IRouter, routes: Routes): void {
  for (const [path, { get = [], head, post = [] }] of Object.entries(routes)) {
    const [getters, posters] = [[get].flat(), [post].flat()];
    const allow = [getters.length > 0 && (head === false ? "GET" : "GET, HEAD"), posters.length > 0 && "POST"].filter(Boolean).join(", ");
    const notAllowed: RequestHandler = (request, response) =>
      sendError(response, "method_not_allowed", `${request.method} is not allowed here, only ${allow}`, { Allow: allow });
    const route = router.route(path);
    if (head === false) route.head(notAllowed);
    if (getters.length > 0) route.get(...getters);
    if (posters.length > 0) route.post(...posters);
    route.all(notAllowed);
  }
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
