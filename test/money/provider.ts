import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { perStepSetting } from "../../src/orders/steps.ts";

/** One request, on the clock of `performance.now()`. */
export interface Call {
  /** Such as `/refunds`. */
  readonly path: string;
  readonly orderId: string;
  readonly beganMs: number;
  /** When its answer was sent or its connection closed; undefined while it is under way. */
  endedMs: number | undefined;
}

/** How a request is answered: with a status, perhaps after a time or with a header, never (`hang`), or by a connection that breaks (`cut`). */
export type Treatment =
  | "hang"
  | "cut"
  | { readonly status: number; readonly afterMs?: number; readonly headers?: Readonly<Record<string, string>> };

/** All three providers as one server in this process, which treats each request as a test says and remembers when it came. */
export class Provider implements AsyncDisposable {
  readonly calls: Call[] = [];
  readonly #treat: (call: Call) => Treatment;
  readonly #server: Server;

  private constructor(treat: (call: Call) => Treatment) {
    this.#treat = treat;
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = JSON.parse(Buffer.concat(chunks).toString());
        this.#serve(request.url ?? "", String(body.order_id), response);
      });
    });
  }

  static async listen(treat: (call: Call) => Treatment): Promise<Provider> {
    const provider = new Provider(treat);
    await new Promise<void>((resolve) => provider.#server.listen(0, "127.0.0.1", resolve));
    return provider;
  }

  /** For the service. */
  get settings(): Readonly<Record<string, string>> {
    const { port } = this.#server.address() as AddressInfo;
    return perStepSetting("URL", () => `http://127.0.0.1:${port}`);
  }

  /** Those to one path, of orders whose id begins so, in the order in which they came. */
  to(path: string, prefix = ""): Call[] {
    return this.calls.filter((call) => call.path === path && call.orderId.startsWith(prefix));
  }

  #serve(path: string, orderId: string, response: ServerResponse): void {
    const call: Call = { path, orderId, beganMs: performance.now(), endedMs: undefined };
    this.calls.push(call);
    response.once("close", () => (call.endedMs = performance.now()));
    const treatment = this.#treat(call);
    if (treatment === "hang") return;
    if (treatment === "cut") {
      response.destroy();
      return;
    }
    const { status, afterMs = 0, headers = {} } = treatment;
    const answer = () => void response.writeHead(status, { "content-type": "application/json", ...headers }).end("{}");
    if (afterMs > 0) setTimeout(answer, afterMs);
    else answer();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}
