import type { Request, RequestHandler } from "express";
import { type AccessKeys, basicPassword, bearerToken } from "../http/access-keys.ts";
import { sendError } from "../http/answers.ts";

// A browser asks its user for a name and a password; any name will do.
const CHALLENGE = { "WWW-Authenticate": 'Basic realm="order-pipeline admin", charset="UTF-8"' };

/** Answers 401 to a request without a valid key, and sets `locals.client`. */
export function needsKey(keys: AccessKeys): RequestHandler {
  return (request, response, next) => {
    const { authorization } = request.headers;
    const key = bearerToken(authorization) ?? basicPassword(authorization);
    const client = key === undefined ? undefined : keys.find(key);
    if (client === undefined) {
      keys.refuse(request.socket);
      sendError(response, "unauthorized", "Authorization: must be Bearer KEY, or Basic with KEY as the password", CHALLENGE);
      return;
    }
    response.locals.client = client;
    next();
  };
}

/** Who sends a request of the admin listener, as it is kept with what they did: `key` and the key's name, or the address where there are no keys. */
export function actorOf({ res, socket }: Request): string {
  const client = res?.locals.client;
  return client === undefined ? (socket.remoteAddress ?? "unknown") : `key ${client.name}`;
}
