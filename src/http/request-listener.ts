import type { IncomingMessage, ServerResponse } from "node:http";
import type { Express, Request, Response } from "express";
import { sendError } from "./answers.ts";
import type { Client } from "./client.ts";
import type { Connections } from "./connection-drain.ts";
import type { KnownHosts } from "./known-hosts.ts";
import { ignored, isClosing, lingeringClose } from "./lingering-close.ts";
import { isPipelined, mayQueue } from "./pipelining.ts";
import { requestIdOf } from "./request-id.ts";

/** What every request carries in `response.locals` from its start. */
export interface RequestLocals {
  readonly requestId: string;
  readonly connections: Connections;
  /** Where it is known which order the request is about. */
  orderId: string | undefined;
  /** Whose API key it brought; undefined where none is needed. */
  client: Client | undefined;
}

/**
 * What a request passes before it reaches the application: it gets its id, and a page of another site that sent it through
 * somebody's browser is turned away. Not a layer of Express, because every order comes by here.
 */
export function requestListener(
  app: Express,
  hosts: KnownHosts,
  connections: Connections,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    // Its client has been told that the connection ends, so it does not count on an answer; an order in it must not run.
    const { socket } = request;
    if (isClosing(socket)) {
      ignored(socket);
      return;
    }
    if (isPipelined(response, socket) && !mayQueue(response, socket)) {
      refusePipelined(request, response as Response, connections);
      return;
    }
    if (!isAllowed(request, response as Response, hosts, connections)) return;
    if (request.url?.startsWith("/")) app(request as Request, response as Response);
    else app(request as Request, response as Response, () => sendError(response as Response, "bad_request", NO_PATH));
  };
}

// Such as `http://`. Express's routers turn it away before they come to any answer of ours, and its own is a page of HTML.
const NO_PATH = "the request target must have a path";

/** A client that reads learns why; one that does not would keep the answers before this one in memory for ever. */
function refusePipelined({ headers, socket }: IncomingMessage, response: Response, connections: Connections): void {
  const isRead = !socket.writableNeedDrain;
  lingeringClose(socket);
  if (!isRead) {
    socket.destroy();
    return;
  }
  response.locals = localsOf(headers, connections);
  sendError(response, "overloaded", "too many requests at once on one connection", { Connection: "close" });
}

/** Gives a request its notes and answers it where it may not come in; then false. */
export function isAllowed(request: IncomingMessage, response: Response, hosts: KnownHosts, connections: Connections): boolean {
  const { headers } = request;
  response.locals = localsOf(headers, connections);

  const { host, origin } = headers;
  if (host === undefined) {
    // HTTP/1.0 knows no Host. No browser speaks it, so nobody can be led here by it; health checks do.
    if (request.httpVersionMinor > 0) {
      sendError(response, "bad_request", "Host: is missing", { Connection: "close" });
      return false;
    }
  } else if (!(hosts.has(host) && hosts.has(hostInTarget(request.url) ?? host)) && !isHealthCheck(request.url)) {
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

/** A target that is a whole URL has a host of its own, which counts as much as the header. */
function hostInTarget(url = "/"): string | undefined {
  return url.startsWith("/") ? undefined : /^https?:\/\/([^/?#]*)/i.exec(url)?.[1];
}

/** Balancers ask by an address or by a name of their own choice, and the answer is no secret. */
function isHealthCheck(url: string | undefined): boolean {
  return url === "/healthz" || url === "/readyz" || /^\/(healthz|readyz)\?/.test(url ?? "");
}

/** TLS may end in front of this server, so either scheme is its own. */
function isOwnOrigin(origin: string, host: string | undefined): boolean {
  if (host === undefined) return false;
  const authority = host.toLowerCase();
  const text = origin.toLowerCase();
  return text === `http://${authority}` || text === `https://${authority}`;
}

function localsOf(headers: IncomingMessage["headers"], connections: Connections): RequestLocals {
  return { requestId: requestIdOf(headers["x-request-id"]), connections, orderId: undefined, client: undefined };
}
