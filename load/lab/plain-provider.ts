import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface ProviderCall {
  /** `/payments`, `/refunds`, and so on. */
  readonly path: string;
  readonly orderId: string;
}

/** All three providers in this process: cheap, obedient, and able to hang. The stand-in does more and costs more. */
export class PlainProvider implements AsyncDisposable {
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** `onCall` gets each call and decides what becomes of it. */
  static async start(onCall: (call: ProviderCall) => "done" | "hangs"): Promise<PlainProvider> {
    const server = createServer((request, response) => {
      let text = "";
      request.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      request.on("end", () => {
        const { order_id } = JSON.parse(text) as { order_id: string };
        if (onCall({ path: request.url ?? "", orderId: order_id }) === "done") response.writeHead(200, { "content-length": 2 }).end("{}");
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new PlainProvider(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
