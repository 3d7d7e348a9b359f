import type { StepName } from "../../src/orders/steps.ts";
import type { Requests, Response } from "../requests.ts";
import type { Reachable } from "./service.ts";

/** A row of `GET /compensations`. */
export interface ShownRow {
  readonly id: number;
  readonly order_id: string;
  readonly attempt: number;
  readonly step: StepName;
  readonly amount: number;
  readonly state: string;
  readonly note?: string;
}

/** An attempt as `GET /restore` shows it. */
interface HeldAttempt {
  readonly order_id: string;
  readonly attempt: number;
  readonly was: "running" | "failed";
}

const PAGE = 500;

/** The routes for operators, over HTTP. All of them reject while the service is down. */
export class Admin {
  readonly #service: Reachable;
  readonly #requests: Requests;

  constructor(service: Reachable, requests: Requests) {
    this.#service = service;
    this.#requests = requests;
  }

  get(path: string): Promise<Response> {
    return this.#requests.send(this.#port, { path });
  }

  post(path: string, body: object = {}): Promise<Response> {
    return this.#requests.send(this.#port, { method: "POST", path, body });
  }

  /** Up to `limit` rows in a state; without `limit` all of them. */
  async rows(state: string, limit?: number): Promise<ShownRow[]> {
    return await this.#list<ShownRow>("compensations", `/compensations?state=${state}&`, limit);
  }

  /** All attempts of which a restore holds something. */
  async held(): Promise<HeldAttempt[]> {
    return await this.#list<HeldAttempt>("held", "/restore?");
  }

  /** The sum of a metric over all its labels. */
  async metric(name: string): Promise<number> {
    const { text } = await this.get("/metrics");
    const lines = text.split("\n").filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    if (lines.length === 0) throw new Error(`there is no metric ${name}`);
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  async #list<T>(name: string, path: string, limit?: number): Promise<T[]> {
    const found: T[] = [];
    let cursor: string | undefined;
    do {
      const more = cursor === undefined ? "" : `&cursor=${cursor}`;
      const { status, text } = await this.get(`${path}limit=${limit ?? PAGE}${more}`);
      if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`);
      const page = JSON.parse(text) as Record<string, T[]> & { readonly next_cursor?: string };
      found.push(...(page[name] ?? []));
      cursor = page.next_cursor;
    } while (cursor !== undefined && limit === undefined);
    return found;
  }

  get #port(): number {
    const { ports } = this.#service;
    if (ports === undefined) throw new Error("the service is down");
    return ports.admin;
  }
}
