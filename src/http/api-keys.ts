import type { RequestHandler } from "express";
import { type AccessKeys, bearerToken } from "./access-keys.ts";
import { sendError } from "./answers.ts";

const CHALLENGE = { "WWW-Authenticate": "Bearer" };

/** Lets nobody pass who does not show one of the keys, and notes whose it is. No Basic: a browser would send that of itself. */
export function needsApiKey(keys: AccessKeys): RequestHandler {
  return (request, response, next) => {
    const shown = bearerToken(request.headers.authorization);
    const client = shown === undefined ? undefined : keys.find(shown);
    if (client === undefined) {
      sendError(response, "unauthorized", "Authorization: must be Bearer KEY", CHALLENGE);
      return;
    }
    response.locals.client = client;
    next();
  };
}
