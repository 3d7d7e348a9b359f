import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Express, Response } from "express";
import { nodeHttp } from "../node-http.ts";
import type { OnFault } from "../orders/faults.ts";
import { acceptWaiting, afterRunning, Newcomers, untilUnused } from "./connection-drain.ts";
import { type IsKnownHost, isLoopbackAddress, knownHosts } from "./known-hosts.ts";
import { messageClasses } from "./message-classes.ts";
import { type CloseReason, type ConnectionLimits, OpenConnections } from "./open-connections.ts";
import { answerForParser } from "./parser-answers.ts";
import { isAllowed, requestListener } from "./request-listener.ts";

/** A listening HTTP server. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  readonly connections: Pick<OpenConnections, "open" | "closed">;
  /** From now on every answer ends its connection. Resolves when none is open, within half a second, or when `hurry` is aborted. */
  endConnections(hurry: AbortSignal): Promise<void>;
  /** Stops accepting, and ends connections: idle ones at once, those just accepted when heard, the others a second later. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /** The setting that gives the port, for messages. */
  readonly name: string;
  /** An address or a host name. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly app: Express;
  /** Names that `Host` may have, besides `localhost` on loopback. */
  readonly allowedHosts: readonly string[];
  /** `Host` may have any name where the listener is not on loopback and `allowedHosts` is empty. */
  readonly anyNameFromOutside: boolean;
  /** How long a connection stays open after an answer. The answer says so, and Node waits a second longer. */
  readonly keepAliveTimeoutMs: number;
  /** How long a client may take to send headers, and a whole request. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly limits: ConnectionLimits;
  /** Receives faults after the start. */
  readonly onFault: OnFault;
}

/** This process cannot listen on the address. */
export class ListenError extends Error {}

/** A connection was closed, because as many are open as `ConnectionLimits` allow. */
export class TooManyConnections extends Error {}

// A slow client may be noticed this late. Each check walks over all connections that are sending a request.
const CHECK_SLOW_EVERY_MS = 1_000;

/** Starts to listen. Throws `ListenError` with one line that names the setting, the address and the reason. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { name, host, port, allowedHosts, anyNameFromOutside, onFault } = options;
  let isKnownHost: IsKnownHost = () => false;
  const connections = new OpenConnections(options.limits, reportTooMany(options));
  const server = serverFor(options, (asked) => isKnownHost(asked), connections);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(new ListenError(explain(name, host, port, error))));
    server.listen(port, host, resolve);
  });
  // Only now: a name may have had another address a moment ago, or none.
  const loopback = isLoopbackAddress((server.address() as AddressInfo).address);
  isKnownHost = knownHosts(loopback, allowedHosts, anyNameFromOutside && !loopback && allowedHosts.length === 0);
  // Such as a lack of file descriptors for one more connection. The open connections go on.
  server.on("error", (error) => onFault(`${name}: a connection could not be accepted`, error));
  return {
    host,
    port: (server.address() as AddressInfo).port,
    connections,
    endConnections(hurry) {
      connections.ending = true;
      return untilUnused(server, hurry);
    },
    close() {
      connections.ending = true;
      return close(server).finally(() => connections.stop());
    },
  };
}

function serverFor(options: ListenOptions, isKnownHost: IsKnownHost, connections: OpenConnections): Server {
  const { app, keepAliveTimeoutMs, requestTimeoutMs } = options;
  // Node refuses a longer time for the headers than for the whole request.
  const headersTimeoutMs = Math.min(options.headersTimeoutMs, requestTimeoutMs);
  const onRequest = requestListener(app, isKnownHost, connections);
  const server = nodeHttp().createServer(
    {
      ...messageClasses(app),
      keepAliveTimeout: keepAliveTimeoutMs,
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(CHECK_SLOW_EVERY_MS, headersTimeoutMs),
      // `requestListener` refuses a request without `Host`, with an answer that has a body.
      requireHostHeader: false,
      // By default Node drops all but the first `Host` or `Authorization`, while a proxy in front may use the last one. Joined headers match
      // no known value, so the request is refused.
      joinDuplicateHeaders: true,
    },
    onRequest,
  );
  // `readBody` answers 100 Continue, so that a client need not send a body that is refused.
  server.on("checkContinue", onRequest);
  answerForParser(server, (request: IncomingMessage, response: Response) => isAllowed(request, response, isKnownHost, connections));
  // Before Node's own listener, so that a connection is known before its first request.
  server.prependListener("connection", (socket) => connections.opened(socket));
  server.on("clientError", (error: NodeJS.ErrnoException) => {
    if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") connections.countClosed("slow");
  });
  return server;
}

/** The log has one line a second for each of these, however many connections are closed. */
function reportTooMany({ name, limits, onFault }: ListenOptions): (reason: CloseReason, address: string | undefined) => void {
  const full = new TooManyConnections(`${limits.max} are open`);
  const fullOfOne = new TooManyConnections(`${limits.maxPerAddress} of its address are open`);
  const refused = new TooManyConnections("too many are open, and none of them is idle");
  return (reason, address) => {
    if (reason === "refused") onFault(`${name}: a connection was closed at once`, refused, { address });
    else onFault(`${name}: an idle connection was closed for a new one`, reason === "full" ? full : fullOfOne, { address });
  };
}

function explain(name: string, host: string, port: number, { code, message }: NodeJS.ErrnoException): string {
  if (code === "EADDRINUSE") return `${name}: ${host}:${port} is already in use`;
  if (code === "EACCES") return `${name}: no permission to listen on ${host}:${port}`;
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") return `${name}: ${host} is not an address of this machine`;
  return `${name}: cannot listen on ${host}:${port}: ${message}`;
}

// All answers exist when a listener is closed; this is the time to send them.
const CLOSE_GRACE_MS = 1_000;

async function close(server: Server): Promise<void> {
  const newcomers = new Newcomers(server);
  await acceptWaiting(server);
  const closeIdle = server.closeIdleConnections.bind(server);
  // Node calls it when it closes the server.
  server.closeIdleConnections = () => {};
  return new Promise((resolve) => {
    // A client that never sends the rest of its request would keep the server open for ever.
    const stop = afterRunning(CLOSE_GRACE_MS, () => server.closeAllConnections());
    server.close(() => {
      stop();
      resolve();
    });
    void newcomers.heard().then(closeIdle);
  });
}
