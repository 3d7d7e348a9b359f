import { eventually } from "../../test/support/eventually.ts";
import type { AttemptEnding } from "../stand-in/balance.ts";

interface View {
  readonly amount: number;
  readonly attempts: readonly {
    readonly attempt: number;
    readonly status: "running" | "ok" | "error";
    readonly compensations: readonly { readonly status: string }[];
  }[];
}

const READERS = 8;

/** How every attempt at these orders ended, as `GET /order/{id}` of some node says. Waits until nothing of them is left to be compensated. */
export async function endingsOf(orderUrl: string, orderIds: readonly string[]): Promise<AttemptEnding[]> {
  const endings: AttemptEnding[] = [];
  const left = orderIds.values();
  const reader = async (): Promise<void> => {
    for (const orderId of left) {
      const view = await endedView(`${orderUrl}/${encodeURIComponent(orderId)}`);
      for (const { attempt, status } of view?.attempts ?? [])
        endings.push({ orderId, attempt, ok: status === "ok", amount: view?.amount ?? 0 });
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
  return endings;
}

async function endedView(url: string): Promise<View | undefined> {
  let view: View | undefined;
  await eventually(`everything of ${url} has ended`, async () => {
    const response = await fetch(url).catch(() => undefined);
    if (response === undefined) return false;
    const text = await response.text();
    if (response.status === 404) return true;
    if (!response.ok) return false;
    view = JSON.parse(text) as View;
    return view.attempts.every(
      ({ status, compensations }) => status !== "running" && compensations.every((compensation) => compensation.status !== "pending"),
    );
  });
  return view;
}
