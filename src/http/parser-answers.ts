import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Response } from "express";
import { nodeHttp } from "../node-http.ts";
import type { ErrorKind } from "../orders/error-kind.ts";
import { errorJson, sendError, sendJson } from "./answers.ts";
import { discarded, isClosing, lingeringClose } from "./lingering-close.ts";
import { newRequestId, requestIdOf } from "./request-id.ts";
import { STATUS } from "./status.ts";

/** What Node hangs on a server's socket: the response whose turn it is, and the request that is, or was last, read. */
interface HttpSocket extends Socket {
  readonly _httpMessage?: Response | null;
  readonly parser?: { readonly incoming?: IncomingMessage | null } | null;
}

interface Fault {
  readonly kind: ErrorKind;
  readonly message: string;
  /** A header line that goes with it. */
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

/** Gives what Node's HTTP layer answers by itself the form of all answers. `isAllowed` as for every other request. */
export function answerForParser(server: Server, isAllowed: (request: IncomingMessage, response: Response) => boolean): void {
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    if (isClosing(socket)) {
      // A parser that has failed once does so again for everything that comes after. The end is one of these, too.
      if (error.code === "HPE_INVALID_EOF_STATE" || !error.code?.startsWith("HPE_")) socket.destroy();
      else discarded(socket);
      return;
    }
    const fault = faultOf(error.code);
    if (fault === undefined) socket.destroy();
    else refuse(socket, fault);
  });
  server.on("connect", (request: IncomingMessage, socket: Socket) => {
    // From here on Node has nothing to do with the socket any more: its errors and what it reads are ours. Orders that wait
    // behind another one for their turn do not hear of a hang-up then, and run to their end.
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
    // Whether the body comes all the same is up to the client, so there is no telling where its next request begins.
    lingeringClose(request.socket);
    sendJson(expressed, 417, errorJson("bad_request", "Expect: must be 100-continue"), { Connection: "close" });
  });
}

/** Undefined where the connection itself is broken, so that there is nobody to answer. */
function faultOf(code = ""): Fault | undefined {
  return FAULTS[code] ?? (code.startsWith("HPE_") ? MALFORMED : undefined);
}

/** Tells a client what is wrong with its request, after the answers to those before it, and ends the connection. */
function refuse(socket: HttpSocket, fault: Fault): void {
  const current = socket._httpMessage ?? undefined;
  // A client that ends its side has hung up on the orders that it waits for.
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
  // One without notes came after the fault and is not dealt with.
  if (current !== undefined && current.locals !== undefined) {
    if (!current.req.complete && !current.headersSent) sendError(current, fault.kind, fault.message, { Connection: "close" });
    else current.once("close", () => answerInTurn(socket, fault, requestId));
  } else if (current === undefined && reading && !reading.complete) {
    // It has its answer, and the fault is in a body that nobody waited for: a second answer would be taken for another's.
    socket.destroySoon();
  } else {
    socket.write(rawAnswer(fault, requestId));
    socket.destroySoon();
  }
}

/** An answer for which Node has made no response, because it could read no request. */
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
