import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** Never answers; knows which of its requests are still open. */
export class SilentServer {
  requests = 0;
  open = 0;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((_request, response) => {
      this.requests++;
      this.open++;
      response.once("close", () => this.open--);
    });
  }

  static async start(): Promise<SilentServer> {
    const server = new SilentServer();
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
