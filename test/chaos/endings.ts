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

// One after the other, every answer would wait for two idle processes to be woken up; on a busy machine that takes long.
const READERS = 8;

/**
 * How every attempt at these orders ended, as `GET /order/{id}` says. Waits until every compensation is done, for each order
 * `timeoutMs`. An order that was never written down has no attempts.
 */
export async function endingsOf(port: number, orders: ReadonlyMap<string, number>, timeoutMs: number): Promise<AttemptEnding[]> {
  using agent = new ClosingAgent();
  const endings: AttemptEnding[] = [];
  const left = orders.entries();
  const reader = async () => {
    for (const [orderId, amount] of left) {
      const view = await eventually<View | undefined>(
        `the end of ${orderId}`,
        async () => {
          const { status, json } = await send(port, { path: `/order/${encodeURIComponent(orderId)}`, agent });
          return status === 404 ? undefined : json;
        },
        (seen) =>
          seen?.attempts.every(
            ({ status, compensations }) => status !== "running" && compensations.every((one) => one.status === "done"),
          ) ?? true,
        timeoutMs,
      );
      for (const { attempt, status } of view?.attempts ?? []) endings.push({ orderId, attempt, ok: status === "ok", amount });
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
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
