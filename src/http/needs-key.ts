import type { RequestHandler } from "express";
import type { AccessKeys } from "./access-keys.ts";
import { sendError } from "./answers.ts";

/**
 * Answers 401 without a valid key, and sets `locals.client`. `asPassword`: a key may also be the password of the Basic scheme, so that a
 * browser asks for it; not elsewhere, for a browser sends that without asking.
 */
export function needsKey(keys: AccessKeys, { asPassword = false } = {}): RequestHandler {
  const message = `Authorization: must be Bearer KEY${asPassword ? ", or Basic with KEY as the password" : ""}`;
  // A browser asks for a name and a password; any name will do.
  const challenge = { "WWW-Authenticate": asPassword ? 'Basic realm="order-pipeline admin", charset="UTF-8"' : "Bearer" };
  return (request, response, next) => {
    const { authorization } = request.headers;
    const key = bearerToken(authorization) ?? (asPassword ? basicPassword(authorization) : undefined);
    const client = key === undefined ? undefined : keys.find(key);
    if (client === undefined) {
      keys.refuse(request.socket);
      sendError(response, "unauthorized", message, challenge);
      return;
    }
    response.locals.client = client;
    next();
  };
}

/** The bearer token of an `Authorization` header. */
export function bearerToken(authorization = ""): string | undefined {
  return /^bearer +(\S+)$/i.exec(authorization)?.[1];
}

/** The password of an `Authorization` header of the Basic scheme. */
export function basicPassword(authorization = ""): string | undefined {
  const [, credentials = ""] = /^basic +(\S+)$/i.exec(authorization) ?? [];
  const userAndPassword = Buffer.from(credentials, "base64").toString("utf8");
  const colon = userAndPassword.indexOf(":");
  return colon < 0 ? undefined : userAndPassword.slice(colon + 1);
}
