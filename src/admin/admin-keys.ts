import type { RequestHandler } from "express";
import { type AccessKeys, basicPassword, bearerToken } from "../http/access-keys.ts";
import { sendError } from "../http/answers.ts";

// A browser asks its user for a name and a password; any name will do.
const CHALLENGE = { "WWW-Authenticate": 'Basic realm="order-pipeline admin", charset="UTF-8"' };

/** Answers 401 to a request without a valid key. */
export function needsKey(keys: AccessKeys): RequestHandler {
  return (request, response, next) => {
    const { authorization } = request.headers;
    const key = bearerToken(authorization) ?? basicPassword(authorization);
    if (key !== undefined && keys.find(key) !== undefined) next();
    else sendError(response, "unauthorized", "Authorization: must be Bearer KEY, or Basic with KEY as the password", CHALLENGE);
  };
}
