import type { RequestHandler } from "express";
import type { AccessKeys } from "../http/access-keys.ts";
import { sendError } from "../http/answers.ts";

// A browser asks its user for name and password; the name does not matter.
const ASK = { "WWW-Authenticate": 'Basic realm="order-pipeline admin", charset="UTF-8"' };

/** Lets nobody pass who does not show one of the keys. */
export function needsKey(keys: AccessKeys): RequestHandler {
  return (request, response, next) => {
    if (keys.accept(request.headers.authorization)) next();
    else sendError(response, "unauthorized", "Authorization: must be Bearer KEY, or Basic with KEY as the password", ASK);
  };
}
