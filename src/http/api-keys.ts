import type { RequestHandler } from "express";
import { type AccessKeys, bearerToken } from "./access-keys.ts";
import { sendError } from "./answers.ts";

const CHALLENGE = { "WWW-Authenticate": "Bearer" };

/** Answers 401 to a request without a valid key, and sets `locals.client`. It takes no Basic, which a browser sends without asking. */
export function needsApiKey(keys: AccessKeys): RequestHandler {
  return (request, response, next) => {
    const key = bearerToken(request.headers.authorization);
    const client = key === undefined ? undefined : keys.find(key);
    if (client === undefined) {
      keys.refuse(request.socket);
      sendError(response, "unauthorized", "Authorization: must be Bearer KEY", CHALLENGE);
      return;
    }
    response.locals.client = client;
    next();
  };
}
