import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

const CONNECT_TIMEOUT_MS = 500;

/**
 * One address for a listener that several engine nodes have: each connection to the next node that takes it. What HTTP/1 clients need; a
 * connection whose node dies is reset, and the client's next one comes to another.
 */
export class TcpBalancer implements AsyncDisposable {
  readonly url: string;
  readonly #server: Server;
  readonly #targets: readonly { readonly host: string; readonly port: number }[];
  readonly #sockets = new Set<Socket>();
  #next = 0;

  private constructor(server: Server, urls: readonly string[]) {
    this.#server = server;
    this.#targets = urls.map((url) => ({ host: new URL(url).hostname, port: Number(new URL(url).port) }));
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (socket) => this.#connected(socket));
  }

  /** Listens on a free port of 127.0.0.1. */
  static async start(urls: readonly string[]): Promise<TcpBalancer> {
    const server = createServer({ noDelay: true, pauseOnConnect: true });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new TcpBalancer(server, urls);
  }

  #connected(socket: Socket): void {
    this.#keep(socket);
    this.#reach(socket, this.#next++, this.#targets.length);
  }

  #reach(socket: Socket, index: number, left: number): void {
    const target = this.#targets[index % this.#targets.length];
    if (left === 0 || target === undefined) {
      socket.destroy();
      return;
    }
    const onward = connect({ ...target, noDelay: true });
    this.#keep(onward);
    onward.setTimeout(CONNECT_TIMEOUT_MS, () => onward.destroy());
    let isConnected = false;
    onward.once("connect", () => {
      isConnected = true;
      onward.setTimeout(0);
      socket.pipe(onward).pipe(socket);
      socket.resume();
    });
    onward.once("close", () => {
      if (isConnected || socket.destroyed) socket.destroy();
      else this.#reach(socket, index + 1, left - 1);
    });
    socket.once("close", () => onward.destroy());
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => this.#sockets.delete(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
