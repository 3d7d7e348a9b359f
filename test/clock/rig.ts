import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { text } from "node:stream/consumers";
import { perStepSetting } from "../../src/orders/steps.ts";
import { ChildServer } from "../support/child-server.ts";
import { type Received, send } from "../support/http-client.ts";

const PRELOAD = join(import.meta.dirname, "../support/wall-clock.js");

/** A server as a process of its own, on a wall clock that tests set, with one journal over all its starts; and its providers and its receiver. */
export class Rig implements AsyncDisposable {
  /** The status that a call gets. */
  answer: (path: string, orderId: string) => number = () => 200;
  /** Every call there was, as `path order`. */
  readonly calls: string[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), "clock-"));
  readonly #outside: Server;
  readonly #settings: Readonly<Record<string, string>>;
  #server: ChildServer | undefined;
  #ports = { port: 0, adminPort: 0 };

  private constructor(outside: Server, settings: Readonly<Record<string, string>>) {
    this.#outside = outside;
    this.#settings = settings;
    this.setAhead(0);
    writeFileSync(join(this.#directory, "secret"), `whsec_${Buffer.alloc(32, 7).toString("base64")}`);
  }

  static async open(settings: Readonly<Record<string, string>> = {}): Promise<Rig> {
    const outside = createServer(async (request, response) => {
      const body = JSON.parse(await text(request));
      const [path, orderId] = [request.url ?? "", String(body.order_id ?? body.data.order_id)];
      rig.calls.push(`${path} ${orderId}`);
      response.writeHead(rig.answer(path, orderId)).end("{}");
    });
    const rig = new Rig(outside, settings);
    await new Promise<void>((resolve) => outside.listen(0, "127.0.0.1", resolve));
    return rig;
  }

  /** Sets the wall clock of the server, milliseconds before the real time. */
  setAhead(ms: number): void {
    const file = join(this.#directory, "ahead");
    // At once, or a reader might find it empty.
    writeFileSync(`${file}.new`, String(ms));
    renameSync(`${file}.new`, file);
  }

  async start(): Promise<void> {
    const url = `http://127.0.0.1:${(this.#outside.address() as AddressInfo).port}`;
    this.#server = new ChildServer({
      NODE_OPTIONS: `--import ${PRELOAD}`,
      WALL_CLOCK_FILE: join(this.#directory, "ahead"),
      JOURNAL: join(this.#directory, "orders.db"),
      THREADS: "1",
      CPU_THREADS: "1",
      ...perStepSetting("URL", () => url),
      WEBHOOK_URL: `${url}/hook`,
      WEBHOOK_SECRET_FILE: join(this.#directory, "secret"),
      ...this.#settings,
    });
    this.#ports = await this.#server.ports();
  }

  async stop(): Promise<void> {
    this.#server?.signal("SIGTERM");
    await this.#server?.exited;
  }

  /** Lines of the log of the present start. */
  get log(): string {
    return this.#server?.stdout ?? "";
  }

  order(orderId: string, headers: Readonly<Record<string, string>> = {}): Promise<Received> {
    return send(this.#ports.port, { method: "POST", path: "/order", body: { order_id: orderId, amount: 100 }, headers });
  }

  admin(path: string): Promise<Received> {
    return send(this.#ports.adminPort, { path });
  }

  count(call: string): number {
    return this.calls.filter((one) => one === call).length;
  }

  /** How many rows a table has. */
  rows(table: string): number {
    using db = new DatabaseSync(join(this.#directory, "orders.db"), { readOnly: true });
    return Number(db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n);
  }

  /** Changes the journal while no server runs. */
  change(sql: string): void {
    using db = new DatabaseSync(join(this.#directory, "orders.db"));
    db.exec(sql);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    this.#outside.closeAllConnections();
    await new Promise((resolve) => this.#outside.close(resolve));
    rmSync(this.#directory, { recursive: true });
  }
}
