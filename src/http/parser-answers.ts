import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Response } from "express";
import { nodeHttp } from "../node-http.ts";
import type { ErrorKind } from "../orders/error-kind.ts";
import { errorJson, sendError, sendJson } from "./answers.ts";
import { discarded, isClosing, lingeringClose } from "./lingering-close.ts";
import { newRequestId, requestIdOf } from "./request-id.ts";
import { STATUS } from "./status.ts";

/** Node's private fields of a server's socket: the response whose turn it is, and the request that is being read or was read last. */
interface HttpSocket extends Socket {
  readonly _httpMessage?: Response | null;
  readonly parser?: { readonly incoming?: IncomingMessage | null } | null;
}

interface Fault {
  readonly kind: ErrorKind;
  readonly message: string;
  /** A further header line of the answer. */
  readonly header?: string;
}

const FAULTS: Readonly<Record<string, Fault>> = {
  HPE_HEADER_OVERFLOW: { kind: "headers_too_large", message: "the headers are too large" },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { kind: "payload_too_large", message: "body: the chunk extensions are too large" },
  HPE_INVALID_EOF_STATE: { kind: "bad_request", message: "the request ends in the middle" },
  ERR_HTTP_REQUEST_TIMEOUT: { kind: "request_timeout", message: "the request came too slowly" },
};
const MALFORMED: Fault = { kind: "bad_request", message: "the request is not well-formed HTTP" };

const NO_TUNNEL: Fault = { kind: "method_not_allowed", message: "CONNECT is not allowed here", header: "Allow: GET, HEAD, POST" };

/** Gives the answers of Node's own HTTP layer the form of all answers. `isAllowed` checks a request as `requestListener` does. */
export function answerForParser(server: Server, isAllowed: (request: IncomingMessage, response: Response) => boolean): void {
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    if (isClosing(socket)) {
      // A parser that has failed once fails again for all later bytes, and for the end of the connection.
      if (error.code === "HPE_INVALID_EOF_STATE" || !error.code?.startsWith("HPE_")) socket.destroy();
      else discarded(socket);
      return;
    }
    const fault = faultOf(error.code);
    if (fault === undefined) socket.destroy();
    else refuseMalformed(socket, fault);
  });
  server.on("connect", (request: IncomingMessage, socket: Socket) => {
    // Node has let go of this socket: this listener handles its errors and reads its bytes. An order before it on the
    // connection is not notified of a hang-up any more, and runs to its end.
    socket.on("error", () => socket.destroy());
    if (!isClosing(socket)) {
      lingeringClose(socket);
      answerInTurn(socket, NO_TUNNEL, requestIdOf(request.headers["x-request-id"]));
    }
    socket.on("data", () => discarded(socket));
  });
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    const expressed = response as Response;
    if (isClosing(request.socket) || !isAllowed(request, expressed)) return;
    // The client may or may not send its body, so nobody knows where its next request begins.
    lingeringClose(request.socket);
    sendJson(expressed, 417, errorJson("bad_request", "Expect: must be 100-continue"), { Connection: "close" });
  });
}

/** Undefined where the connection itself is broken and nobody can read an answer. */
function faultOf(code = ""): Fault | undefined {
  return FAULTS[code] ?? (code.startsWith("HPE_") ? MALFORMED : undefined);
}

/** Answers a malformed request, after the answers to the requests before it, and ends the connection. */
function refuseMalformed(socket: HttpSocket, fault: Fault): void {
  const current = socket._httpMessage ?? undefined;
  // A client that ends its side while it waits for an answer has hung up.
  if (fault === FAULTS.HPE_INVALID_EOF_STATE && current?.req.complete) {
    socket.destroy();
    return;
  }
  lingeringClose(socket);
  answerInTurn(socket, fault);
}

function answerInTurn(socket: HttpSocket, fault: Fault, requestId = newRequestId()): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const current = socket._httpMessage ?? undefined;
  const reading = socket.parser?.incoming;
  // A response without locals belongs to a request after the fault, which is ignored.
  if (current !== undefined && current.locals !== undefined) {
    if (!current.req.complete && !current.headersSent) sendError(current, fault.kind, fault.message, { Connection: "close" });
    else current.once("close", () => answerInTurn(socket, fault, requestId));
  } else if (current === undefined && reading && !reading.complete) {
    // The request has its answer already, and the fault is in the rest of its body. The client would take a second answer for that of another
    // request.
    socket.destroySoon();
  } else {
    socket.write(rawAnswer(fault, requestId));
    socket.destroySoon();
  }
}

/** The text of an answer where Node could read no request and so has made no response. */
function rawAnswer({ kind, message, header }: Fault, requestId: string): string {
  const json = errorJson(kind, message);
  const status = STATUS[kind];
  return [
    `HTTP/1.1 ${status} ${nodeHttp().STATUS_CODES[status]}`,
    `X-Request-Id: ${requestId}`,
    ...(header === undefined ? [] : [header]),
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(json)}`,
    `Date: ${new Date().toUTCString()}`,
    "Connection: close",
    "",
    json,
  ].join("\r\n");
}
