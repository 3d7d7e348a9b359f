import { Agent } from "node:http";
import type { AttemptEnding } from "../../load/stand-in/balance.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-client.ts";

interface View {
  readonly attempts: readonly {
    readonly attempt: number;
    readonly status: "running" | "ok" | "error";
    readonly compensations: readonly { readonly status: "done" | "pending" }[];
  }[];
}

/**
 * How every attempt at these orders ended, as `GET /order/{id}` says. Waits until every compensation is done. An order
 * that was never written down has no attempts.
 */
export async function endingsOf(port: number, orders: ReadonlyMap<string, number>, timeoutMs: number): Promise<AttemptEnding[]> {
  using agent = new ClosingAgent();
  const endings: AttemptEnding[] = [];
  for (const [orderId, amount] of orders) {
    const view = await eventually<View | undefined>(
      `the end of ${orderId}`,
      async () => {
        const { status, json } = await send(port, { path: `/order/${encodeURIComponent(orderId)}`, agent });
        return status === 404 ? undefined : json;
      },
      (seen) =>
        seen?.attempts.every(({ status, compensations }) => status !== "running" && compensations.every((one) => one.status === "done")) ??
        true,
      timeoutMs,
    );
    for (const { attempt, status } of view?.attempts ?? []) endings.push({ orderId, attempt, ok: status === "ok", amount });
  }
  return endings;
}

class ClosingAgent extends Agent implements Disposable {
  constructor() {
    super({ keepAlive: true });
  }

  [Symbol.dispose](): void {
    this.destroy();
  }
}
