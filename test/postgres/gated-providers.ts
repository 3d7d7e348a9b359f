import type { Call } from "../../load/stand-in/call.ts";
import { type StandIn, startStandIn } from "../../load/stand-in/stand-in.ts";

/** All providers. Calls of an order wait at the courier until they are let go. */
export class GatedProviders implements AsyncDisposable {
  /** In the order in which they came, with their times on the wall clock. */
  readonly calls: (Pick<Call, "step" | "action" | "key"> & { readonly atMs: number })[] = [];
  /** Courier calls that wait or were left by their node. */
  readonly waiting = new Set<string>();
  readonly #gates = new Map<string, PromiseWithResolvers<void>>();
  #standIn!: StandIn;

  static async start(): Promise<GatedProviders> {
    const providers = new GatedProviders();
    providers.#standIn = await startStandIn({
      faultModeOf: (call) => providers.#receive(call),
      onEnd: ({ key }) => void providers.waiting.delete(key),
    });
    return providers;
  }

  get url(): string {
    return this.#standIn.url;
  }

  get ledger() {
    return this.#standIn.ledger;
  }

  /** From now on courier calls of an order wait. */
  hold(orderId: string): void {
    this.#gates.set(orderId, Promise.withResolvers());
  }

  letGo(orderId: string): void {
    this.#gates.get(orderId)?.resolve();
    this.#gates.delete(orderId);
  }

  /** Calls and compensations of one attempt that came, as `courier` and `undo courier`. */
  of(orderId: string, attempt: number): string[] {
    const own = this.calls.filter(({ key }) => key.startsWith(`${orderId}:${attempt}:`));
    return own.map(({ step, action }) => (action === "perform" ? step : `undo ${step}`));
  }

  #receive({ step, action, key, body }: Call) {
    this.calls.push({ step, action, key, atMs: Date.now() });
    const gate = step === "courier" && action === "perform" ? this.#gates.get(body.order_id) : undefined;
    if (gate === undefined) return undefined;
    this.waiting.add(key);
    return { type: "answer" as const, after: gate.promise };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const orderId of [...this.#gates.keys()]) this.letGo(orderId);
    await this.#standIn.close();
  }
}
