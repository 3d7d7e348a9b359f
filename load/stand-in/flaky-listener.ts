import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** How a provider that is down shows it: nobody listens, or every connection is reset. */
export type DownMode = "refuse" | "reset";

// While the listener is shut the system may lend its port to somebody's outgoing connection; that ends.
const PORT_TAKEN_PAUSE_MS = 20;

/** The server's listening side: opens on one port, shuts for a while, opens there again, and counts connections. */
export class FlakyListener {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;
  #host = "";
  #resetting = false;
  #down: Promise<void> | undefined;
  #hurry = new AbortController();
  #closed = false;
  #accepted = 0;

  constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket) => {
      this.#accepted++;
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      if (this.#resetting) socket.resetAndDestroy();
    });
  }

  /** Connections ever accepted. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Connections open now. */
  get open(): number {
    return this.#sockets.size;
  }

  get isDown(): boolean {
    return this.#down !== undefined;
  }

  /** Opens for the first time. Returns the URL. */
  async listen(host: string, port: number): Promise<string> {
    this.#host = host;
    this.#port = port;
    await this.#listen();
    this.#port = (this.#server.address() as AddressInfo).port;
    return `http://${host}:${this.#port}`;
  }

  /**
   * Breaks every connection and takes none for `ms`, or until `up` where that is undefined. Resolves when it is up again.
   * A listener that is down stays so.
   */
  down(ms: number | undefined, mode: DownMode): Promise<void> {
    this.#down ??= this.#shutFor(ms, mode).finally(() => (this.#down = undefined));
    return this.#down;
  }

  /** Ends what `down` began. Resolves when it is up. */
  async up(): Promise<void> {
    this.#hurry.abort();
    await this.#down;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.up();
    await this.#shut();
  }

  async #shutFor(ms: number | undefined, mode: DownMode): Promise<void> {
    if (this.#closed) return;
    this.#hurry = new AbortController();
    if (mode === "reset") {
      this.#resetting = true;
      for (const socket of this.#sockets) socket.resetAndDestroy();
      await this.#timeOrUp(ms);
      this.#resetting = false;
      return;
    }
    await this.#shut();
    await this.#timeOrUp(ms);
    while (!this.#closed) {
      try {
        await this.#listen();
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
        await sleep(PORT_TAKEN_PAUSE_MS);
      }
    }
  }

  async #timeOrUp(ms: number | undefined): Promise<void> {
    const { signal } = this.#hurry;
    if (ms === undefined) await (signal.aborted || once(signal, "abort"));
    else await sleep(ms, undefined, { signal }).catch(() => {});
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, this.#host, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
  }

  #shut(): Promise<void> {
    return new Promise((resolve) => {
      // The error of a server that does not listen, after a close while it was down, is no error here.
      this.#server.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }
}
