import { randomUUID } from "node:crypto";
import { request } from "node:http";
import { eventually } from "../../test/support/eventually.ts";
import { leaksOf, settledCounters } from "../thread-counters.ts";
import type { ExpectedStep, Outcome } from "./outcomes.ts";

/** Base URLs of the service that the demo plays with. */
export interface Stage {
  readonly api: string;
  readonly admin: string;
}

interface StepSeen extends ExpectedStep {
  readonly name: string;
  readonly duration_ms: number;
}

interface OrderSeen {
  readonly status: "running" | "ok" | "error";
  readonly steps: readonly StepSeen[];
  readonly error?: { readonly kind: string };
}

/** What came of one outcome. */
export interface Played {
  readonly order: OrderSeen;
  readonly tookMs: number;
  /** Steps that were stopped, and how long that took from its cause, microseconds on average. */
  readonly canceled: number;
  readonly cancelMicros: number;
  /** All that was not as it has to be, in words. */
  readonly faults: readonly string[];
}

const AMOUNT = 1_200;

/** Brings an outcome about and looks whether it is what it says, down to the last step, and whether anything of it is left on a thread. */
export async function play(outcome: Outcome, { api, admin }: Stage): Promise<Played> {
  const body = JSON.stringify({ order_id: `demo-${randomUUID().slice(0, 8)}`, amount: AMOUNT, ...outcome.simulation });
  const before = await cancelTime(admin);
  const startMs = performance.now();
  const answer = outcome.hangsUpAfterMs === undefined ? await placed(api, body) : await abandoned(api, body, outcome.hangsUpAfterMs);
  const tookMs = performance.now() - startMs;
  const counters = await settledCounters(admin);
  const after = await cancelTime(admin);
  const canceled = after.count - before.count;
  const cancelMicros = canceled === 0 ? 0 : ((after.seconds - before.seconds) / canceled) * 1e6;
  return { order: answer.order, tookMs, canceled, cancelMicros, faults: [...faultsOf(outcome, answer), ...leaksOf(counters)] };
}

interface Answer {
  /** Undefined where nobody received one. */
  readonly status?: number;
  readonly order: OrderSeen;
}

async function placed(api: string, body: string): Promise<Answer> {
  const response = await fetch(`${api}/order`, { method: "POST", body });
  return { status: response.status, order: (await response.json()) as OrderSeen };
}

/** Sends an order, leaves, and asks later what became of it. */
async function abandoned(api: string, body: string, afterMs: number): Promise<Answer> {
  const outgoing = request(`${api}/order`, { method: "POST" });
  // Leaving is an error to the client that leaves.
  outgoing.once("error", () => {});
  outgoing.end(body);
  setTimeout(() => outgoing.destroy(), afterMs);
  const { order_id } = JSON.parse(body) as { order_id: string };
  let order: OrderSeen | undefined;
  // No answer waits for the compensations of such an order, so they may be made after its end.
  await eventually("the abandoned order has ended and is compensated", async () => {
    const response = await fetch(`${api}/order/${order_id}`);
    order = response.ok ? ((await response.json()) as OrderSeen) : undefined;
    return order !== undefined && order.status !== "running" && order.steps?.every(({ compensation }) => compensation !== "pending");
  });
  return { order: order as OrderSeen };
}

function faultsOf(outcome: Outcome, { status, order }: Answer): string[] {
  const faults: string[] = [];
  const differs = (what: string, seen: unknown, expected: unknown): void => {
    if (seen !== expected) faults.push(`${what} is ${seen ?? "absent"} instead of ${expected ?? "absent"}`);
  };
  if (outcome.hangsUpAfterMs === undefined) differs("the answer's status", status, outcome.status);
  differs("the order", order.status, outcome.kind === undefined ? "ok" : "error");
  differs("its error kind", order.error?.kind, outcome.kind);
  for (const [name, expected] of Object.entries(outcome.steps)) {
    const seen = order.steps?.find((step) => step.name === name);
    differs(`${name}`, seen?.status, expected.status);
    differs(`the detail of ${name}`, seen?.detail, expected.detail);
    differs(`the compensation of ${name}`, seen?.compensation, expected.compensation);
  }
  return faults;
}

/** What `GET /metrics` says of all cancels so far. */
async function cancelTime(admin: string): Promise<{ seconds: number; count: number }> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  const read = (name: string): number => Number(new RegExp(`^step_cancel_seconds_${name} (\\S+)$`, "m").exec(text)?.[1] ?? 0);
  return { seconds: read("sum"), count: read("count") };
}
