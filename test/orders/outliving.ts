import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { type StandIn, type StandInOptions, startStandIn } from "../../load/stand-in/stand-in.ts";
import { perStepSetting, STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder, type Received, send } from "../support/http-client.ts";
import { standing } from "../support/standing.ts";

export const FOR_EVER_MS = 300_000;
export const ORDER = { order_id: "mine", amount: 1200 };
export const KEYED = { headers: { "idempotency-key": "my-key" } };

/** Providers and a journal in a file that outlive the services that use them, for one order with one key. */
export class Outliving implements AsyncDisposable {
  readonly standIn: StandIn;
  readonly settings: Readonly<Record<string, string>> & { readonly JOURNAL: string };
  readonly #directory: string;

  private constructor(standIn: StandIn, directory: string) {
    this.standIn = standIn;
    this.#directory = directory;
    const urls = perStepSetting("URL", () => standIn.url);
    // Few threads start faster.
    const small = { THREADS: "1", CPU_THREADS: "1" };
    this.settings = { JOURNAL: join(directory, "orders.db"), ...urls, ...small, ORDER_TIMEOUT_MS: String(FOR_EVER_MS) };
  }

  static async open(faultModeOf: NonNullable<StandInOptions["faultModeOf"]>): Promise<Outliving> {
    return new Outliving(await startStandIn({ faultModeOf }), mkdtempSync(join(tmpdir(), "outliving-")));
  }

  place(port: number): Promise<Received> {
    return postOrder(port, ORDER, KEYED);
  }

  /** What `GET /order/mine` says. */
  async view(port: number) {
    return (await send(port, { path: "/order/mine" })).json;
  }

  /** The order's attempts, once the first is compensated. */
  async compensated(port: number): Promise<Received["json"]> {
    const isDone = ({ attempts }: Received["json"]) =>
      attempts[0].compensations.every(({ status }: { status: string }) => status === "done");
    const { attempts } = await eventually("the first attempt to be compensated", () => this.view(port), isDone);
    return attempts;
  }

  /** Only this attempt has taken money. */
  async expectBalance(attempt: number): Promise<void> {
    await this.standIn.quiet();
    const ledger = this.standIn.ledger.snapshot();
    for (const { amount } of ledger.entries) expect([ORDER.amount, undefined]).toContain(amount);
    expect(standing(ledger)).toEqual(STEPS.map((step) => `${ORDER.order_id}:${attempt}:${step}`).sort());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.standIn.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Its status, or that the connection was closed without an answer. */
export const ended = (request: Promise<Received>): Promise<number | "closed"> =>
  request.then(
    ({ status }) => status,
    () => "closed",
  );
