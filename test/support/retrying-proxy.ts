import { Agent, createServer, type IncomingHttpHeaders, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { send } from "./http-client.ts";
import { Stalls } from "./stalls.ts";

export interface RetryingProxyOptions {
  readonly upstreamPort: number;
  /** Connections to the server are used again, as balancers do; otherwise each request has one of its own. */
  readonly keepsConnections: boolean;
}

interface UpstreamAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const HEALTH_CHECK_EVERY_MS = 20;
// Far longer than a restart takes on a busy machine.
const RETRY_LIMIT_MS = 60_000;
// The server closes a connection on which nothing comes for half a second while it drains, and the proxy may learn of it when it has just sent
// the next request. That is no fault of a server whose clients did not run for so long.
const STALL_MS = 250;
const AFTER_STALL_MS = 2_000;

/**
 * A balancer with one server behind it. It sends a request again after a 503 and where no connection came about, because then surely
 * nothing has happened: a connection that broke is a 502 for the client. Only where this process itself did not run when it should have used
 * the connection, it sends the request again; its idempotency key makes that safe. As balancers do, it holds requests back from a server
 * that is not healthy, and asks `GET /readyz` until that is.
 */
export class RetryingProxy implements AsyncDisposable {
  readonly #options: RetryingProxyOptions;
  readonly #agent: Agent;
  readonly #server: Server;
  /** Settles when the server is healthy again; undefined while it is. */
  #healthy: Promise<void> | undefined;
  readonly #stalls = new Stalls(STALL_MS);
  /** How often it sent a request again after a 503, after a refused connection, and after a broken one because it had stalled itself. */
  unavailable = 0;
  refused = 0;
  stalled = 0;
  /** Why clients got a 502. */
  readonly broken: string[] = [];

  private constructor(options: RetryingProxyOptions) {
    this.#options = options;
    this.#agent = new Agent({ keepAlive: options.keepsConnections });
    this.#server = createServer((incoming, outgoing) => void this.#pass(incoming, outgoing));
  }

  static async start(options: RetryingProxyOptions): Promise<RetryingProxy> {
    const proxy = new RetryingProxy(options);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stalls[Symbol.dispose]();
    this.#agent.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await wholeOf(incoming);
    const endMs = performance.now() + RETRY_LIMIT_MS;
    for (;;) {
      await this.#healthy;
      const answer = await this.#ask(incoming, body).catch((error: NodeJS.ErrnoException) => error);
      const isRefused = answer instanceof Error && answer.code === "ECONNREFUSED";
      const isUnavailable = !(answer instanceof Error) && answer.status === 503;
      const isStalled = answer instanceof Error && answer.code === "ECONNRESET" && this.#stalls.agoMs < AFTER_STALL_MS;
      if (!(isRefused || isUnavailable || isStalled) || performance.now() > endMs) {
        this.#tell(outgoing, answer);
        return;
      }
      if (isRefused) this.refused++;
      else if (isUnavailable) this.unavailable++;
      else this.stalled++;
      this.#healthy ??= this.#untilHealthy(endMs);
    }
  }

  async #untilHealthy(endMs: number): Promise<void> {
    do {
      await pause(HEALTH_CHECK_EVERY_MS);
    } while (!(await isReady(this.#options.upstreamPort)) && performance.now() < endMs);
    this.#healthy = undefined;
  }

  #tell(outgoing: ServerResponse, answer: UpstreamAnswer | NodeJS.ErrnoException): void {
    if (answer instanceof Error) {
      this.broken.push(`${answer.code}: ${answer.message}`);
      outgoing.writeHead(502).end();
      return;
    }
    // Connections are between neighbors.
    const { connection: _connection, "keep-alive": _keepAlive, ...headers } = answer.headers;
    outgoing.writeHead(answer.status, headers).end(answer.body);
  }

  #ask({ method, url, headers }: IncomingMessage, body: Buffer): Promise<UpstreamAnswer> {
    const { connection: _connection, ...passed } = headers;
    const { upstreamPort: port, keepsConnections } = this.#options;
    return new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port, agent: keepsConnections ? this.#agent : false, method, path: url, headers: passed };
      const sent = request(options, (answer) =>
        wholeOf(answer).then((whole) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: whole }), reject),
      );
      sent.once("error", reject);
      sent.end(body);
    });
  }
}

async function isReady(port: number): Promise<boolean> {
  const answer = await send(port, { path: "/readyz" }).catch(() => undefined);
  return answer?.status === 200;
}

async function wholeOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
