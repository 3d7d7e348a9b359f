import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";
import type { Journal } from "../../src/journal/journal.ts";
import type { OrderEvent } from "../../src/orders/order-event.ts";
import type { CompensationTried } from "../../src/orders/order-journal.ts";
import type { StepName } from "../../src/orders/steps.ts";
import { type Received, send } from "../support/http-client.ts";
import { startService, type TestService } from "../support/service.ts";

export const SECRET = `whsec_${randomBytes(32).toString("base64")}`;
// Longer than a test takes. One that is dated more than a minute ahead after one try would be due: the clock ran ahead then.
const NOT_DUE_MS = 55_000;

/** A service on a journal in a file, which outlives it until this is disposed of. */
export interface OnFile extends AsyncDisposable {
  readonly running: TestService;
  readonly directory: string;
  readonly backups: string;
  readonly settings: Readonly<Record<string, string>>;
  get(path: string): Promise<Received>;
  post(path: string, body?: unknown): Promise<Received>;
}

export async function startOnFile(overlay: Readonly<Record<string, string>> = {}): Promise<OnFile> {
  const directory = mkdtempSync(join(tmpdir(), "admin-"));
  const backups = join(directory, "backups");
  mkdirSync(backups);
  const secretFile = join(directory, "secret");
  writeFileSync(secretFile, SECRET);
  const settings = {
    THREADS: "1",
    CPU_THREADS: "1",
    JOURNAL: join(directory, "orders.db"),
    BACKUP_DIR: backups,
    ...(overlay.WEBHOOK_URL !== undefined && { WEBHOOK_SECRET_FILE: secretFile }),
    ...overlay,
  };
  const running = await startService(settings);
  return {
    running,
    directory,
    backups,
    settings,
    get: (path) => send(running.adminPort, { path }),
    post: (path, body) => send(running.adminPort, { method: "POST", path, body }),
    async [Symbol.asyncDispose]() {
      await running.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A failed attempt at a new order, written straight into the journal. What is to be compensated of it is not due before the test has ended. */
export async function fail(journal: Journal, orderId: string, steps: readonly StepName[], nowMs = Date.now()): Promise<void> {
  await attempt(journal, orderId, steps.map(waiting), nowMs);
}

/** What came of the first try of a compensation. */
export type FirstTry = Omit<CompensationTried, "id">;

export function waiting(step: StepName): FirstTry {
  return { step, nextTryMs: Date.now() + NOT_DUE_MS, lastAnswer: "HTTP 503" };
}

/** A failed attempt, or without compensations a placed order. */
export async function attempt(
  journal: Journal,
  orderId: string,
  firstTries: readonly FirstTry[] | undefined,
  nowMs = Date.now(),
): Promise<void> {
  const accepted = await journal.accept({ orderId, amount: 1200, nowMs });
  if (accepted.type !== "accepted") throw new Error(`${orderId} was not accepted: ${accepted.type}`);
  const body = { order_id: orderId, steps: [] };
  const answer =
    firstTries === undefined
      ? { json: JSON.stringify({ status: "ok", ...body }) }
      : {
          error: "vendor_unavailable" as const,
          json: JSON.stringify({ status: "error", ...body, error: { kind: "vendor_unavailable", message: "order failed" } }),
        };
  const of = { orderId, attempt: accepted.attempt, nowMs };
  const compensations = (firstTries ?? []).map(({ step }) => ({ step, trying: true }));
  const ids = await journal.finish({ ...of, answer, answered: compensations.length === 0, compensations });
  const tried = (firstTries ?? []).map((one, index) => ({ ...one, id: ids[index] as number }));
  if (tried.length > 0) await journal.answer({ ...of, json: answer.json, answered: true, tried });
}

/** Events that are due at a time, oldest first. */
export async function eventsDue(journal: Journal, nowMs = Date.now(), limit = 500): Promise<readonly OrderEvent[]> {
  return (await journal.takeEvents({ nowMs, limit, leastTried: false, underWay: [] })).items;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers whose shape is what they test.
type Item = any;

/** All items of a list, page after page; `between` runs before every page but the first. */
export async function allPages(
  of: Pick<OnFile, "get">,
  path: string,
  name: string,
  between?: (page: number) => Promise<void>,
): Promise<Item[]> {
  const items: Item[] = [];
  let cursor = "";
  for (let page = 1; ; page++) {
    const { status, text: body, json } = await of.get(`${path}${path.includes("?") ? "&" : "?"}${cursor}`);
    if (status !== 200) throw new Error(body);
    items.push(...json[name]);
    if (json.next_cursor === undefined) return items;
    cursor = `cursor=${json.next_cursor}`;
    await between?.(page);
  }
}

export interface Delivered {
  readonly id: string;
  readonly type: string;
  readonly orderId: string;
}

/** A webhook receiver with an answer that tests set. It notes the events that it took. */
export class Receiver implements AsyncDisposable {
  status = 204;
  asked = 0;
  readonly taken: Delivered[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(): Promise<Receiver> {
    const receiver = new Receiver();
    await new Promise<void>((resolve) => receiver.#server.listen(0, "127.0.0.1", resolve));
    return receiver;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** With a path that nobody is to see. */
  get url(): string {
    return `${this.origin}/token-in-the-path`;
  }

  typesOf(orderId: string): string[] {
    return this.taken.filter((event) => event.orderId === orderId).map(({ type }) => type);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    this.asked++;
    if (this.status === 204) {
      const event = new Webhook(SECRET).verify(body, request.headers as Record<string, string>) as {
        type: string;
        data: { order_id: string };
      };
      this.taken.push({ id: String(request.headers["webhook-id"]), type: event.type, orderId: event.data.order_id });
    }
    response.writeHead(this.status).end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

/** What has a `close` of its own. */
export function disposable<T extends { close(): Promise<void> }>(thing: T): T & AsyncDisposable {
  return Object.assign(thing, { [Symbol.asyncDispose]: () => thing.close() });
}
