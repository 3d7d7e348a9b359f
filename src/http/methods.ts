import type { RequestHandler } from "express";
import { sendError } from "./answers.ts";

/** The end of a route: whatever method comes this far is not one of these. */
export function onlyMethods(...allowed: string[]): RequestHandler {
  const allow = allowed.join(", ");
  return (request, response) =>
    sendError(response, "method_not_allowed", `${request.method} is not allowed here, only ${allow}`, { Allow: allow });
}
