import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { createEndpointHandler, type EndpointOptions, type LoggerTransport, RestateError } from "@restatedev/restate-sdk";
import type { Logger } from "pino";
import { EndpointError } from "../engine.ts";

export interface EndpointParts {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly services: EndpointOptions["services"];
  /** Public key of the engine: a call without its signature is refused. Absent: every call is taken. */
  readonly identityKey?: string;
  /** Called for each call of the engine. */
  readonly onCall: () => void;
  readonly log: Logger;
}

// For all streams of one connection, in megabytes: the engine puts all its invocations on a few connections.
const SESSION_MEMORY_MB = 256;

/** Where the engine calls this node: HTTP/2 without TLS, each invocation a stream that stays open until it has ended. Main thread only. */
export class Endpoint {
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #sockets = new Set<Socket>();

  private constructor(server: Http2Server) {
    this.#server = server;
    server.on("session", (session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
    });
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  /** Throws `EndpointError`. */
  static async listen({ host, port, services, identityKey, onCall, log }: EndpointParts): Promise<Endpoint> {
    const handle = createEndpointHandler({
      services,
      ...(identityKey !== undefined && { identityKeys: [identityKey] }),
      logger: loggerFor(log),
    });
    const server = createServer({ maxSessionMemory: SESSION_MEMORY_MB }, handle);
    server.on("stream", onCall);
    const endpoint = new Endpoint(server);
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, resolve);
      });
    } catch (error) {
      throw new EndpointError(`RESTATE_ENDPOINT_PORT=${port}: cannot listen on ${host} (${(error as NodeJS.ErrnoException).code})`);
    }
    return endpoint;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Takes no more invocations, and notifies the engine on every connection. Those under way go on. */
  drain(): void {
    this.#server.close();
    for (const session of this.#sessions) session.close();
  }

  /** Breaks off the invocations under way; the engine runs them again on other nodes. Resolves when it is closed. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    // A session that `drain` has closed waits for its peer even when it is destroyed, and the peer may be frozen.
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** Passes on the log of the SDK: errors and warnings for operators, the rest as trace. */
function loggerFor(log: Logger): LoggerTransport {
  return ({ level, context }, ...message) => {
    const fields = { invocation: context?.invocationId, handler: context?.invocationTarget };
    const text = message.map((part) => (part instanceof RestateError ? part.message : String(part))).join(" ");
    if (String(level) === "error") log.error(fields, `engine: ${text}`);
    else if (String(level) === "warn") log.warn(fields, `engine: ${text}`);
    else log.trace(fields, `engine: ${text}`);
  };
}
