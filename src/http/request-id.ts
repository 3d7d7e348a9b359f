import { randomUUID } from "node:crypto";
import type { RequestHandler } from "express";

// What is echoed goes into logs: visible ASCII of a sane length, or it is replaced.
const ACCEPTABLE = /^[\x21-\x7e]{1,128}$/;

/** Echoes `X-Request-Id`, or makes one. */
export const requestId: RequestHandler = (request, response, next) => {
  const given = request.headers["x-request-id"];
  response.setHeader("X-Request-Id", typeof given === "string" && ACCEPTABLE.test(given) ? given : randomUUID());
  next();
};
