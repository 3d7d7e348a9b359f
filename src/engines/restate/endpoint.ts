import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { createEndpointHandler, type EndpointOptions, type LoggerTransport, RestateError } from "@restatedev/restate-sdk";
import type { Logger } from "pino";
import { EndpointError } from "../engine.ts";

export interface EndpointParts {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly services: EndpointOptions["services"];
  /** Calls that this key's owner has not signed are refused; absent: all are taken. */
  readonly identityKey?: string;
  /** The engine has begun a call. */
  readonly onCall: () => void;
  readonly log: Logger;
}

// Of all the streams of one connection, in megabytes: the engine opens few connections and puts every invocation on them.
const SESSION_MEMORY_MB = 256;

/** Where the engine calls this node: HTTP/2 without TLS, each invocation a stream that stays open until it has ended. Main thread only. */
export class Endpoint {
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();

  private constructor(server: Http2Server) {
    this.#server = server;
    server.on("session", (session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
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

  /** Takes no more invocations: the engine is told on every connection. Those under way go on. */
  drain(): void {
    this.#server.close();
    for (const session of this.#sessions) session.close();
  }

  /** Ends what is under way, which the engine has run elsewhere then. Resolves when it is closed. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const session of this.#sessions) session.destroy();
    await closed;
  }
}

/** What the SDK says, as far as an operator of this service needs it. */
function loggerFor(log: Logger): LoggerTransport {
  return ({ level, context }, ...message) => {
    const fields = { invocation: context?.invocationId, handler: context?.invocationTarget };
    const text = message.map((part) => (part instanceof RestateError ? part.message : String(part))).join(" ");
    if (String(level) === "error") log.error(fields, `engine: ${text}`);
    else if (String(level) === "warn") log.warn(fields, `engine: ${text}`);
    else log.trace(fields, `engine: ${text}`);
  };
}
