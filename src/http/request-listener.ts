import type { IncomingMessage, ServerResponse } from "node:http";
import type { Express, Request, Response } from "express";
import { sendError } from "./answers.ts";
import type { IsKnownHost } from "./known-hosts.ts";
import { ignored, isClosing, lingeringClose } from "./lingering-close.ts";
import type { OpenConnections } from "./open-connections.ts";
import { isPipelined, mayWait } from "./pipelining.ts";
import { requestIdOf } from "./request-id.ts";

/** The `response.locals` of every request. */
export interface RequestLocals {
  readonly requestId: string;
  readonly connections: OpenConnections;
  /** Set once the request has been read, for requests that concern one order. The log names it when the request fails. */
  orderId: string | undefined;
  /** The name of the key's owner (`AccessKeys.find`); undefined where no key is needed. */
  client: string | undefined;
}

/**
 * Gives each request its locals, and refuses what pages of other sites send through a user's browser. In front of the application: a layer
 * of Express costs every order a walk through it.
 */
export function requestListener(
  app: Express,
  isKnownHost: IsKnownHost,
  connections: OpenConnections,
): (request: IncomingMessage, response: ServerResponse) => void {
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    connections.requested(request, response);
    if (!isAllowed(request, response as Response, isKnownHost, connections)) return;
    if (request.url?.startsWith("/")) app(request as Request, response as Response);
    else app(request as Request, response as Response, () => sendError(response as Response, "bad_request", NO_PATH));
  };
  // One function for all that wait for their turn.
  const serveInTurn = function (this: ServerResponse) {
    serve(this.req, this);
  };
  return (request, response) => {
    // The client knows that this connection ends and expects no answer, so an order on it must not run.
    const { socket } = request;
    if (isClosing(socket)) {
      ignored(socket);
      return;
    }
    if (!isPipelined(response, socket)) serve(request, response);
    else if (!mayWait(response, socket, serveInTurn)) refusePipelined(request, response as Response, connections);
  };
}

// For a target such as `http://`. Express matches no route with it and would answer with a page of HTML.
const NO_PATH = "the request target must have a path";

/** Answers a client that reads. One that does not read would keep the earlier answers in memory for ever, so its connection is cut. */
function refusePipelined({ headers, socket }: IncomingMessage, response: Response, connections: OpenConnections): void {
  const isRead = !socket.writableNeedDrain;
  lingeringClose(socket);
  if (!isRead) {
    socket.destroy();
    return;
  }
  response.locals = localsOf(headers, connections);
  sendError(response, "overloaded", "too many requests at once on one connection", { Connection: "close" });
}

/** Gives a request its locals. Answers it and returns false where its `Host` or its origin is not allowed. */
export function isAllowed(request: IncomingMessage, response: Response, isKnownHost: IsKnownHost, connections: OpenConnections): boolean {
  const { headers } = request;
  response.locals = localsOf(headers, connections);

  // HTTP/1.0 has no chunks, so a proxy that speaks it sees the end of this request elsewhere: what this side took for the next one would be
  // somebody else's (RFC 9112, 6.1).
  if (request.httpVersionMinor === 0 && headers["transfer-encoding"] !== undefined) {
    sendError(response, "bad_request", "Transfer-Encoding: is not part of HTTP/1.0", { Connection: "close" });
    return false;
  }
  const { host, origin } = headers;
  if (host === undefined) {
    // HTTP/1.0 has no Host. Health checks speak it, and no browser does, so no page of another site can send it.
    if (request.httpVersionMinor > 0) {
      sendError(response, "bad_request", "Host: is missing", { Connection: "close" });
      return false;
    }
  } else if (!isKnown(host, request.url, isKnownHost) && !isHealthCheck(request.url)) {
    sendError(response, "forbidden", "Host: is not a name of this server; ALLOWED_HOSTS can hold more names");
    return false;
  }
  const site = headers["sec-fetch-site"];
  if (site === "cross-site" || site === "same-site" || (origin !== undefined && !isOwnOrigin(origin, host))) {
    sendError(response, "forbidden", "requests from pages of another site are not taken");
    return false;
  }
  return true;
}

/** Where the target is a whole URL, its host has to be a known name as well as the `Host` header. */
function isKnown(host: string, url = "/", isKnownHost: IsKnownHost): boolean {
  const inTarget = url.startsWith("/") ? undefined : /^https?:\/\/([^/?#]*)/i.exec(url)?.[1];
  return isKnownHost(host) && (inTarget === undefined || isKnownHost(inTarget));
}

/** Health checks may carry any name: balancers choose it, and the answer is no secret. */
function isHealthCheck(url: string | undefined): boolean {
  return url === "/healthz" || url === "/readyz" || /^\/(healthz|readyz)\?/.test(url ?? "");
}

/** Both schemes count: TLS may end at a proxy in front of this server. */
function isOwnOrigin(origin: string, host: string | undefined): boolean {
  if (host === undefined) return false;
  const authority = host.toLowerCase();
  const text = origin.toLowerCase();
  return text === `http://${authority}` || text === `https://${authority}`;
}

function localsOf(headers: IncomingMessage["headers"], connections: OpenConnections): RequestLocals {
  return { requestId: requestIdOf(headers["x-request-id"]), connections, orderId: undefined, client: undefined };
}
