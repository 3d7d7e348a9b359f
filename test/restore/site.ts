import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChildServer } from "../support/child-server.ts";
import { type Received, send } from "../support/http-client.ts";

/** A call that one of the providers got. */
export interface Call {
  readonly path: string;
  readonly key: string;
  readonly orderId: string;
}

/** Undoing calls, by the path of what they undo. */
export const UNDO = ["/refunds", "/cancellations", "/releases"];

interface Running {
  readonly server: ChildServer;
  readonly port: number;
  readonly adminPort: number;
}

/**
 * A service as an operator has it: a process of its own, a journal, a directory for backups, three providers and a receiver of events, all of
 * which write down what comes.
 */
export class Site implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "restore-"));
  readonly journal = join(this.directory, "data", "orders.db");
  readonly backups = join(this.directory, "backups");
  readonly calls: Call[] = [];
  /** Type and order of each event that was delivered. */
  readonly events: string[] = [];
  /** How a call is answered. It may wait. */
  answer: (call: Call) => number | Promise<number> = () => 200;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #providers: Server;
  #running: Running | undefined;

  private constructor(providers: Server, settings: Readonly<Record<string, string>>) {
    this.#providers = providers;
    const url = `http://127.0.0.1:${(providers.address() as AddressInfo).port}`;
    const secret = join(this.directory, "secret");
    writeFileSync(secret, `whsec_${Buffer.alloc(32, 7).toString("base64")}\n`);
    mkdirSync(this.backups);
    this.#settings = {
      ...{ JOURNAL: this.journal, BACKUP_DIR: this.backups, PAYMENT_URL: url, VENDOR_URL: url, COURIER_URL: url },
      ...{ WEBHOOK_URL: `${url}/events`, WEBHOOK_SECRET_FILE: secret, ORDER_TIMEOUT_MS: "20000", COMPENSATION_TIMEOUT_MS: "10000" },
      ...settings,
    };
  }

  static async open(settings: Readonly<Record<string, string>> = {}): Promise<Site> {
    let site: Site | undefined;
    const providers = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = JSON.parse(Buffer.concat(chunks).toString());
      const path = request.url ?? "";
      if (path === "/events") {
        site?.events.push(`${body.type} ${body.data.order_id}`);
        response.writeHead(204).end();
        return;
      }
      const call = { path, key: String(request.headers["idempotency-key"]), orderId: body.order_id };
      site?.calls.push(call);
      response.writeHead((await site?.answer(call)) ?? 500, { "content-type": "application/json" }).end("{}");
    });
    await new Promise<void>((resolve) => providers.listen(0, "127.0.0.1", resolve));
    site = new Site(providers, settings);
    return site;
  }

  async start(): Promise<void> {
    const server = new ChildServer(this.#settings);
    this.#running = { server, ...(await server.ports()) };
  }

  /** Ends the process as a power cut does. */
  async kill(): Promise<void> {
    const { server } = this.#up;
    server.signal("SIGKILL");
    await server.exited;
    this.#running = undefined;
  }

  async backUp(name: string): Promise<void> {
    const { status, text } = await this.admin("POST", "/backup", { name });
    if (status !== 200) throw new Error(text);
  }

  /** As docs/operating.md says it: stops the service, puts a backup in the place of the journal, starts. */
  async restore(name: string): Promise<void> {
    if (this.#running !== undefined) await this.kill();
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${this.journal}${suffix}`, { force: true });
    copyFileSync(join(this.backups, name), this.journal);
    await this.start();
  }

  order(orderId: string, { amount = 900, key }: { readonly amount?: number; readonly key?: string } = {}): Promise<Received> {
    const headers = key === undefined ? {} : { "idempotency-key": key };
    return send(this.#up.port, { method: "POST", path: "/order", body: { order_id: orderId, amount }, headers });
  }

  async look(orderId: string): Promise<Received["json"]> {
    return (await send(this.#up.port, { path: `/order/${orderId}` })).json;
  }

  admin(method: "GET" | "POST", path: string, body?: unknown): Promise<Received> {
    return send(this.#up.adminPort, { method, path, ...(body !== undefined && { body }) });
  }

  get adminPort(): number {
    return this.#up.adminPort;
  }

  /** The lines that the process has logged from warnings up, up to now. */
  get warnings(): Record<string, unknown>[] {
    const lines = this.#up.server.stdout.split("\n").filter((line) => line.startsWith("{"));
    return lines.map((line) => JSON.parse(line)).filter(({ level }) => level >= 40);
  }

  /** Calls that undo something of an order. */
  undone(orderId: string): string[] {
    return this.calls.filter((call) => call.orderId === orderId && UNDO.includes(call.path)).map(({ path }) => path);
  }

  get #up(): Running {
    if (this.#running === undefined) throw new Error("the service is not up");
    return this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running?.server[Symbol.asyncDispose]();
    const closed = new Promise((resolve) => this.#providers.close(resolve));
    this.#providers.closeAllConnections();
    await closed;
    rmSync(this.directory, { recursive: true, force: true });
  }
}
