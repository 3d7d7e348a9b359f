import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Response } from "express";
import type { ErrorKind } from "../orders/error-kind.ts";
import { discarded, lingeringClose } from "./lingering-close.ts";
import { hasBody } from "./open-connections.ts";
import { headersOf, STATUS } from "./status.ts";

/** A request that breaks a rule. The message names field and rule, and the client reads it. */
export class BadRequest extends Error {}

/** Sends JSON text. Does nothing when the client is gone or has its answer. */
export function sendJson(response: Response, status: number, json: string, headers?: Readonly<Record<string, string>>): void {
  sendText(response, status, "application/json; charset=utf-8", json, headers);
}

/** The same with text of any type. */
export function sendText(
  response: Response,
  status: number,
  type: string,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  if (headers.Connection === "close") response.shouldKeepAlive = false;
  beginAnswer(response);
  response.writeHead(status, {
    "X-Request-Id": response.locals.requestId,
    ...headers,
    "Content-Type": type,
    "Content-Length": Buffer.byteLength(text),
  });
  response.end(text);
}

/** Decides what becomes of the connection after an answer. Call it before the answer's headers are written. */
export function beginAnswer(response: Response): void {
  if (response.locals.connections.ending) response.shouldKeepAlive = false;
  // The client may send all of its body before it reads, and then would find a reset in place of an answer that did not wait for it.
  if (!response.shouldKeepAlive && !response.req.complete && hasBody(response.req)) discardRest(response.req);
}

/** Counts what comes, too: Node itself would discard for as long as the connection lingers, however much that is. */
function discardRest(request: IncomingMessage): void {
  const { socket } = request;
  lingeringClose(socket);
  request.on("data", () => discarded(socket));
}

/** Sends no answer to a request: its connection is closed when its turn comes, after the answers to those before it. */
export function sendNothing(response: Response): void {
  const { socket } = response;
  if (socket !== null) socket.destroy();
  // Not `response.destroy()`: Node gets stuck at a response that was destroyed before its turn, and the client would wait for ever.
  else response.once("socket", (own: Socket) => own.destroy());
}

/** Sends an error answer. Not for an order that ran: its answer has steps. */
export function sendError(response: Response, kind: ErrorKind, message: string, headers: Readonly<Record<string, string>> = {}): void {
  sendJson(response, STATUS[kind], errorJson(kind, message), { ...headersOf(kind), ...headers });
}

/** The body of an error answer. */
export function errorJson(kind: ErrorKind, message: string): string {
  return JSON.stringify({ status: "error", error: { kind, message } });
}
