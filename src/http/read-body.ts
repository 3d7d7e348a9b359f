import type { IncomingHttpHeaders } from "node:http";
import type { NextFunction, Request, RequestHandler, Response } from "express";
import { BadRequest, sendError } from "./answers.ts";

// Of an order, and of all that operators send: a note of a thousand escaped surrogate pairs takes 12 bytes a character.
const MAX_BYTES = 16 * 1024;

/**
 * Reads a body of up to 16 KiB into `request.body`, a Buffer; undefined without a body. A larger one is answered with 413 as soon
 * as its size is known, which ends the connection. When the client hangs up, nothing more happens.
 *
 * Rejected: `express.raw()`. It answers a body that is too large only after the client has sent all of it.
 */
export const readBody: RequestHandler = (request, response, next) => {
  const { headers } = request;
  const length = declaredLength(headers);
  if (length !== undefined && length > MAX_BYTES) {
    refuseTooLarge(response);
    return;
  }
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    next(new BadRequest("Content-Encoding: must be identity: bodies are not compressed"));
    return;
  }
  // With a "checkContinue" listener Node sends no 100 by itself. A client of HTTP/1.0 would take the 100 for the answer.
  if (headers.expect !== undefined && request.httpVersionMinor > 0) response.writeContinue();
  if (length === 0) next();
  else readChunks(request, response, next);
};

/** The declared bytes of the body; undefined for a chunked body. The parser lets only numbers through. */
function declaredLength(headers: IncomingHttpHeaders): number | undefined {
  return headers["transfer-encoding"] === undefined ? Number(headers["content-length"] ?? 0) : undefined;
}

function readChunks(request: Request, response: Response, next: NextFunction): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const take = (chunk: Buffer): void => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes <= MAX_BYTES) return;
    stop();
    refuseTooLarge(response);
  };
  const end = (): void => {
    stop();
    response.locals.connections.received(request, response);
    request.body = Buffer.concat(chunks);
    next();
  };
  const stop = () => request.off("data", take).off("end", end);
  request.on("data", take).on("end", end);
}

function refuseTooLarge(response: Response): void {
  sendError(response, "payload_too_large", `body: must be at most ${MAX_BYTES} bytes`, { Connection: "close" });
}
