import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import { connect, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";

// A killed node closes its connections at once. This timeout is for a node that does not.
const CONNECT_TIMEOUT_MS = 1_000;
// How long the balancer leaves out a node that it could not reach.
const LEFT_OUT_MS = 300;
const NO_NODE = 503;

interface Node {
  readonly url: string;
  session: ClientHttp2Session | undefined;
  leftOutUntilMs: number;
  /** Streams under way. */
  streams: number;
}

/**
 * Stands between the engine and the service nodes: one HTTP/2 address, each stream to the node with the fewest, those that cannot be
 * reached left out. For the demo and the tests; in production any HTTP/2 balancer does the same. A stream whose node dies is reset: the
 * engine runs its invocation again, and that comes to another node.
 */
export class Balancer implements AsyncDisposable {
  readonly url: string;
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  #nodes: readonly Node[] = [];

  private constructor(server: Http2Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("session", (session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
      session.on("error", () => {});
    });
    server.on("stream", (stream, headers) => this.#forward(stream as ServerHttp2Stream, headers));
  }

  /** Listens on a free port of 127.0.0.1. */
  static async start(urls: readonly string[] = []): Promise<Balancer> {
    const server = createServer({ maxSessionMemory: 256 });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const balancer = new Balancer(server);
    balancer.use(urls);
    return balancer;
  }

  /** From now on new streams go to these; those under way go on where they are. */
  use(urls: readonly string[]): void {
    const before = new Map(this.#nodes.map((node) => [node.url, node]));
    this.#nodes = urls.map((url) => before.get(url) ?? { url, session: undefined, leftOutUntilMs: 0, streams: 0 });
    for (const [url, node] of before) if (!urls.includes(url)) node.session?.close();
  }

  #forward(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders): void {
    stream.on("error", () => {});
    const node = this.#choose();
    if (node === undefined) {
      stream.respond({ ":status": NO_NODE }, { endStream: true });
      return;
    }
    const session = this.#sessionOf(node);
    let onward: ClientHttp2Stream;
    try {
      // Its authority stays, for the node checks the signature of the request and not of ours; what belongs to one connection does not.
      onward = session.request(headers, { endStream: false });
    } catch {
      stream.close();
      return;
    }
    node.streams++;
    onward.once("close", () => {
      node.streams--;
      if (!stream.closed) stream.close(onward.rstCode);
    });
    onward.on("error", () => stream.close());
    onward.once("response", (answer) => {
      if (!stream.destroyed && !stream.headersSent) stream.respond(answer);
      onward.pipe(stream);
    });
    stream.once("close", () => {
      if (!onward.closed) onward.close(stream.rstCode);
    });
    stream.pipe(onward);
  }

  #choose(): Node | undefined {
    const nowMs = performance.now();
    let chosen: Node | undefined;
    for (const node of this.#nodes) {
      if (node.leftOutUntilMs <= nowMs && (chosen === undefined || node.streams < chosen.streams)) chosen = node;
    }
    return chosen;
  }

  #sessionOf(node: Node): ClientHttp2Session {
    if (node.session !== undefined && !node.session.closed && !node.session.destroyed) return node.session;
    const session = connect(node.url, { maxSessionMemory: 256 });
    node.session = session;
    session.setTimeout(CONNECT_TIMEOUT_MS, () => {
      if (session.connecting) session.destroy();
    });
    session.on("error", () => {
      node.leftOutUntilMs = performance.now() + LEFT_OUT_MS;
    });
    session.once("goaway", () => {
      node.leftOutUntilMs = performance.now() + LEFT_OUT_MS;
    });
    session.once("close", () => {
      if (node.session === session) node.session = undefined;
    });
    return session;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const session of this.#sessions) session.destroy();
    for (const { session } of this.#nodes) session?.destroy();
    await closed;
  }
}
