import type { IncomingHttpHeaders } from "node:http";
import { brotliDecompress, gunzip, type InputType, inflate, type ZlibOptions } from "node:zlib";
import type { NextFunction, Request, RequestHandler, Response } from "express";
import { BadRequest, sendError } from "./answers.ts";
import { discarded, lingeringClose } from "./lingering-close.ts";

type Decompress = (body: InputType, options: ZlibOptions, done: (error: Error | null, plain: Buffer) => void) => void;

const DECOMPRESS: ReadonlyMap<string, Decompress> = new Map([
  ["gzip", gunzip],
  ["deflate", inflate],
  ["br", brotliDecompress as Decompress],
]);

/**
 * Reads a body of up to `limit` bytes, compressed or not, into `request.body`, a Buffer; undefined without a body. A larger one is answered
 * with 413 as soon as its size is known, which ends the connection. When the client hangs up, nothing more happens.
 *
 * Rejected: `express.raw()`. It answers a body that is too large only after the client has sent all of it.
 */
export function readBody(limit: number): RequestHandler {
  return (request, response, next) => {
    const { headers } = request;
    const length = declaredLength(headers);
    if (length !== undefined && length > limit) {
      refuse(request, response, limit);
      return;
    }
    const encoding = headers["content-encoding"];
    let read = next;
    if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
      const decompress = DECOMPRESS.get(encoding.toLowerCase());
      if (decompress === undefined) {
        next(new BadRequest("Content-Encoding: must be identity, gzip, deflate or br"));
        return;
      }
      read = () => decompressed(decompress, limit, request, response, next);
    }
    // With a "checkContinue" listener Node sends no 100 by itself. A client of HTTP/1.0 would take the 100 for the answer.
    if (headers.expect !== undefined && request.httpVersionMinor > 0) response.writeContinue();
    if (length === 0) next();
    else readChunks(limit, request, response, read);
  };
}

/** The declared bytes of the body; undefined for a chunked body. The parser lets only numbers through. */
function declaredLength(headers: IncomingHttpHeaders): number | undefined {
  return headers["transfer-encoding"] === undefined ? Number(headers["content-length"] ?? 0) : undefined;
}

function readChunks(limit: number, request: Request, response: Response, read: NextFunction): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const take = (chunk: Buffer): void => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes <= limit) return;
    stop();
    refuse(request, response, limit);
  };
  const end = (): void => {
    stop();
    response.locals.connections.received(request, response);
    request.body = Buffer.concat(chunks);
    read();
  };
  const stop = () => request.off("data", take).off("end", end);
  request.on("data", take).on("end", end);
}

function decompressed(decompress: Decompress, limit: number, request: Request, response: Response, next: NextFunction): void {
  decompress(request.body, { maxOutputLength: limit }, (error, plain) => {
    // The client hung up meanwhile.
    if (response.closed) return;
    request.body = plain;
    if (error === null) next();
    else if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") sendTooLarge(response, limit);
    else next(new BadRequest("body: does not match its Content-Encoding"));
  });
}

function refuse(request: Request, response: Response, limit: number): void {
  lingeringClose(request.socket);
  request.on("data", () => discarded(request.socket));
  sendTooLarge(response, limit, { Connection: "close" });
}

function sendTooLarge(response: Response, limit: number, headers: Readonly<Record<string, string>> = {}): void {
  sendError(response, "payload_too_large", `body: must be at most ${limit} bytes`, headers);
}
