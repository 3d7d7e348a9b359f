import type { RequestHandler } from "express";
import { type AccessKeys, basicPassword, bearerToken } from "../http/access-keys.ts";
import { sendError } from "../http/answers.ts";

// A browser asks its user for name and password; the name does not matter.
const CHALLENGE = { "WWW-Authenticate": 'Basic realm="order-pipeline admin", charset="UTF-8"' };

/** Lets nobody pass who does not show one of the keys. */
export function needsKey(keys: AccessKeys): RequestHandler {
  return (request, response, next) => {
    const { authorization } = request.headers;
    const shown = bearerToken(authorization) ?? basicPassword(authorization);
    if (shown !== undefined && keys.find(shown) !== undefined) next();
    else sendError(response, "unauthorized", "Authorization: must be Bearer KEY, or Basic with KEY as the password", CHALLENGE);
  };
}
