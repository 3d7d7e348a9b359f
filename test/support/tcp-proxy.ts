import { type AddressInfo, createServer, type Server, Socket } from "node:net";

/** Seen from the client: what it sends, and what it gets. */
export type Direction = "to-server" | "to-client";

const DIRECTIONS: readonly Direction[] = ["to-server", "to-client"];

/**
 * The network before a server on this machine: it can be cut and it can heal. While a direction is cut nothing comes through it, no byte, no
 * new connection and no end of one, and no side is told; what was sent meanwhile arrives after the healing, as TCP has it. The system goes
 * on to acknowledge at both sides, so keepalives and `tcp_user_timeout` do not notice a cut: only limits of the programs do.
 */
export class TcpProxy implements AsyncDisposable {
  readonly #upstreamPort: number;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #cut = new Set<Direction>();

  private constructor(upstreamPort: number) {
    this.#upstreamPort = upstreamPort;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
  }

  static async start(upstreamPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(upstreamPort);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that have not ended at both sides. */
  get connections(): number {
    return this.#connections.size;
  }

  /** The same address, by way of this proxy. */
  through(url: string): string {
    const way = new URL(url);
    way.port = String(this.port);
    return way.href;
  }

  /** Cuts one direction, or both, of all connections and of those to come. */
  cut(...directions: readonly Direction[]): void {
    for (const direction of directions.length === 0 ? DIRECTIONS : directions) {
      this.#cut.add(direction);
      for (const connection of this.#connections) connection.cut(direction);
    }
  }

  heal(): void {
    this.#cut.clear();
    for (const connection of this.#connections) connection.heal();
  }

  /** Breaks every connection: both sides see a reset. */
  reset(): void {
    for (const connection of this.#connections) connection.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.reset();
    await closed;
  }

  #accept(client: Socket): void {
    const connection = new Connection(client, this.#upstreamPort, () => this.#connections.delete(connection));
    this.#connections.add(connection);
    for (const direction of this.#cut) connection.cut(direction);
    connection.open();
  }
}

class Connection {
  readonly #client: Socket;
  readonly #upstreamPort: number;
  readonly #server = new Socket({ allowHalfOpen: true });
  readonly #ways: Readonly<Record<Direction, Way>>;
  #isOpened = false;

  constructor(client: Socket, upstreamPort: number, onEnd: () => void) {
    this.#client = client;
    this.#upstreamPort = upstreamPort;
    this.#server.setNoDelay();
    this.#ways = { "to-server": new Way(client, this.#server), "to-client": new Way(this.#server, client) };
    let openSides = 2;
    for (const side of [client, this.#server]) side.once("close", () => --openSides === 0 && onEnd());
  }

  /** Connects to the server, now or when the way there has healed. */
  open(): void {
    if (!this.#ways["to-server"].isCut) this.#connect();
  }

  #connect(): void {
    if (this.#isOpened) return;
    this.#isOpened = true;
    this.#server.connect(this.#upstreamPort, "127.0.0.1");
  }

  cut(direction: Direction): void {
    this.#ways[direction].cut();
  }

  heal(): void {
    // Before anything is written to it.
    this.#connect();
    for (const direction of DIRECTIONS) this.#ways[direction].heal();
  }

  reset(): void {
    this.#client.resetAndDestroy();
    if (this.#isOpened) this.#server.resetAndDestroy();
    else this.#server.destroy();
  }
}

/** One direction of one connection. */
class Way {
  readonly #source: Socket;
  isCut = false;
  /** How the source has ended, while the target cannot know. */
  #ending: (() => void) | undefined;

  constructor(source: Socket, target: Socket) {
    this.#source = source;
    source.on("data", (bytes) => {
      if (!target.write(bytes)) source.pause();
    });
    target.on("drain", () => {
      if (!this.isCut) source.resume();
    });
    source.once("end", () => this.#end(() => target.end()));
    // After an end in order there is nothing more to tell.
    source.once("close", () => source.readableEnded || this.#end(() => target.resetAndDestroy()));
    source.on("error", () => {});
  }

  cut(): void {
    this.isCut = true;
    this.#source.pause();
  }

  heal(): void {
    this.isCut = false;
    this.#ending?.();
    this.#ending = undefined;
    this.#source.resume();
  }

  #end(ending: () => void): void {
    if (this.isCut) this.#ending = ending;
    else ending();
  }
}
