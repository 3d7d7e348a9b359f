import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Express, Response } from "express";
import { nodeHttp } from "../node-http.ts";
import type { OnFault } from "../orders/faults.ts";
import { acceptWaiting, type Connections, untilUnused } from "./connection-drain.ts";
import { KnownHosts } from "./known-hosts.ts";
import { isOnLoopback } from "./loopback.ts";
import { messageClasses } from "./message-classes.ts";
import { answerForParser } from "./parser-answers.ts";
import { isAllowed, requestListener } from "./request-listener.ts";

/** A listening HTTP server. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  /**
   * From now on every answer ends its connection. Resolves when none is open, at the latest after half a second or when `hurry` is aborted:
   * a client that uses its connections is told on each of them, so that no request is on its way on one that is closed.
   */
  endConnections(hurry: AbortSignal): Promise<void>;
  /** Stops accepting, ends idle connections at once and the others a second later, and resolves when all are closed. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /** Of the setting that gives the port, for messages. */
  readonly name: string;
  /** An address, or a name of one. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly app: Express;
  /** Names that a `Host` may hold, besides `localhost` on loopback. */
  readonly allowedHosts: readonly string[];
  /** Where it is not on loopback and `allowedHosts` is empty, a `Host` may hold any name. */
  readonly anyNameFromOutside: boolean;
  /** How long a connection stays open after an answer. Clients are told so, and Node waits a second longer. */
  readonly keepAliveTimeoutMs: number;
  /** How long a client may take to send headers, and a whole request. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** Connections at one time; a further one is closed at once. Unlimited when absent. */
  readonly maxConnections?: number;
  /** Gets what goes wrong later on. */
  readonly onFault: OnFault;
}

/** The address cannot be listened on. */
export class ListenError extends Error {}

/** More clients than there may be, of which one was turned away. */
export class TooManyConnections extends Error {}

// How late a client that is too slow may be noticed. Looking costs a walk over the connections that are sending a request.
const LOOK_FOR_SLOW_EVERY_MS = 1_000;

/** Listens, or throws `ListenError`: one line that names what could not be had. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { name, host, port, allowedHosts, anyNameFromOutside, onFault } = options;
  const loopback = await isOnLoopback(host);
  const hosts = new KnownHosts({ loopback, names: allowedHosts, anyName: anyNameFromOutside && !loopback && allowedHosts.length === 0 });
  const connections: Connections = { ending: false };
  const server = serverFor(options, hosts, connections);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(new ListenError(explain(name, host, port, error))));
    server.listen(port, host, resolve);
  });
  // Such as a process that has no file descriptor left for one more connection: no reason to end those it has.
  server.on("error", (error) => onFault(`${name}: a connection could not be accepted`, error));
  return {
    host,
    port: (server.address() as AddressInfo).port,
    endConnections(hurry) {
      connections.ending = true;
      return untilUnused(server, hurry);
    },
    close() {
      connections.ending = true;
      return close(server);
    },
  };
}

function serverFor(options: ListenOptions, hosts: KnownHosts, connections: Connections): Server {
  const { name, app, keepAliveTimeoutMs, requestTimeoutMs, maxConnections, onFault } = options;
  // Node insists on this; sending the headers is a part of sending the request.
  const headersTimeoutMs = Math.min(options.headersTimeoutMs, requestTimeoutMs);
  const onRequest = requestListener(app, hosts, connections);
  const server = nodeHttp().createServer(
    {
      ...messageClasses(app),
      keepAliveTimeout: keepAliveTimeoutMs,
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(LOOK_FOR_SLOW_EVERY_MS, headersTimeoutMs),
      // The front door does it, with an answer that has a body.
      requireHostHeader: false,
      // Otherwise Node drops all but the first `Host` or `Authorization`, and another server may go by the last. Joined
      // they are none that is known.
      joinDuplicateHeaders: true,
    },
    onRequest,
  );
  // Whoever reads the body says that it may come: a body that is refused need not be sent at all.
  server.on("checkContinue", onRequest);
  answerForParser(server, (request: IncomingMessage, response: Response) => isAllowed(request, response, hosts, connections));
  if (maxConnections !== undefined) {
    server.maxConnections = maxConnections;
    const full = new TooManyConnections(`${maxConnections} are open`);
    server.on("drop", () => onFault(`${name}: a connection was closed at once`, full));
  }
  return server;
}

function explain(name: string, host: string, port: number, { code, message }: NodeJS.ErrnoException): string {
  if (code === "EADDRINUSE") return `${name}: ${host}:${port} is already in use`;
  if (code === "EACCES") return `${name}: no permission to listen on ${host}:${port}`;
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") return `${name}: ${host} is not an address of this machine`;
  return `${name}: cannot listen on ${host}:${port}: ${message}`;
}

// Answers are ready when a listener is closed; this is for them to go out.
const CLOSE_GRACE_MS = 1_000;

async function close(server: Server): Promise<void> {
  await acceptWaiting(server);
  return new Promise((resolve) => {
    // A client that never sends the rest of its request would keep the server for ever.
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
