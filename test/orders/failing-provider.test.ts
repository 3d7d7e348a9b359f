import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { fastOnce } from "../support/fast-once.ts";
import { postOrder, type Received, send } from "../support/http-client.ts";
import { standing } from "../support/standing.ts";
import { startWithProviders } from "./providers.ts";

const DEADLINE_MS = 1_000;
// Contract: "recovers by itself within 2 s".
const RECOVERY_MS = 2_000;

// More than an ordinary machine has at one time while all orders wait for their deadline. On one that is too slow for the rate orders would
// pile up otherwise, until all of them take longer than that.
const MOST_OPEN = 128;

/** Sends orders at a constant rate, whatever becomes of those before, until it is stopped. */
class Customers implements AsyncDisposable {
  readonly answers: Received[] = [];
  readonly #open = new Set<Promise<void>>();
  readonly #port: number;
  #next = 0;
  #stopped = false;

  constructor(port: number, everyMs: number) {
    this.#port = port;
    void this.#send(everyMs);
  }

  /** Resolves when those that are under way have their answers. */
  async answered(): Promise<void> {
    await Promise.all(this.#open);
  }

  /** Resolves when the last one has its answer. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.answered();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #send(everyMs: number): Promise<void> {
    for (; !this.#stopped; await sleep(everyMs)) {
      if (this.#open.size >= MOST_OPEN) continue;
      const one = postOrder(this.#port, { order_id: `o-${this.#next++}`, amount: 5 }).then((answer) => {
        // A machine that is too busy for the rate is no provider's fault.
        if (answer.json.error?.kind !== "overloaded") this.answers.push(answer);
        this.#open.delete(one);
      });
      this.#open.add(one);
    }
  }
}

test("a vendor that hangs: orders fail at once, it gets probes only, payments are refunded, and it is found again by itself", async () => {
  let hangs = false;
  let vendorCalls = 0;
  await using fixture = await startWithProviders(
    { ORDER_TIMEOUT_MS: String(DEADLINE_MS), COURIER_CAPACITY: "128" },
    {
      faultModeOf({ step, action }) {
        if (step === "vendor" && action === "perform") vendorCalls++;
        return hangs && step === "vendor" ? { type: "hang" } : undefined;
      },
    },
  );
  const { standIn, running } = fixture;
  const counts = () => standIn.ledger.snapshot().counts;
  const circuit = async () =>
    Number(/^circuit_state\{step="vendor"\} (\d)$/m.exec((await send(running.adminPort, { path: "/metrics" })).text)?.[1]);
  const logged = (text: string) => running.logged.filter(({ msg, step }) => msg === text && step === "vendor");

  await using customers = new Customers(fixture.port, 10);
  const placed = () => customers.answers.filter(({ status }) => status === 200).length;
  await eventually("orders that are placed", () => placed() > 20);
  expect(await circuit()).toBe(0);
  hangs = true;
  await eventually("the circuit to open", circuit, (state) => state === 2);
  expect(logged("circuit opened")[0]).toMatchObject({ level: 40 });

  // From now on orders fail at once, and before any of them makes a payment.
  const answersBefore = customers.answers.length;
  // Those that were under way wait for their deadline, and get 504. A machine that is too slow for the rate refuses some of them itself.
  const refused = () =>
    customers.answers.slice(answersBefore).filter(({ status, json }) => status === 503 && json.error.kind !== "overloaded");
  // A slow machine has many of their calls on the way to the vendor.
  await customers.answered();
  await eventually("orders that are refused", () => refused().length > 20);
  const [fromMs, callsBefore] = [performance.now(), vendorCalls];
  await eventually("more of them", () => refused().length > 120);
  const elapsedMs = performance.now() - fromMs;
  // Two probes are sent at least 200 ms apart; the first ones may have been on their way.
  expect(vendorCalls).toBeGreaterThan(callsBefore);
  expect(vendorCalls - callsBefore).toBeLessThan(5 + elapsedMs / 200);
  // A wait that is in the code shows in every one of them; one that a busy machine adds does not.
  expect(Math.min(...refused().map(({ elapsedMs }) => elapsedMs))).toBeLessThan(DEADLINE_MS / 2);
  expect(Math.min(...refused().flatMap(({ json }) => json.steps.map((step: { duration_ms: number }) => step.duration_ms)))).toBe(0);
  for (const { json } of refused()) {
    expect(json.error.kind).toBe("vendor_unavailable");
    expect(json.steps[0]).toMatchObject({ status: "canceled", detail: "sibling_failed" });
    expect(standIn.ledger.find("payment", `${json.order_id}:1:payment`)).toBeUndefined();
  }
  await eventually("all payments to be refunded", () => counts().refunds === counts().charges - placed());
  expect(await circuit()).toBe(2);

  await fastOnce("the recovery", RECOVERY_MS, async () => {
    hangs = true;
    await eventually("the circuit to be open", circuit, (state) => state === 2);
    hangs = false;
    const backAtMs = performance.now();
    const placedBefore = placed();
    await eventually("the circuit to close", circuit, (state) => state === 0);
    const tookMs = performance.now() - backAtMs;
    await eventually("orders that are placed again", () => placed() > placedBefore + 20);
    return tookMs;
  });
  expect(logged("circuit closed")[0]).toMatchObject({ level: 30 });
  await customers.stop();

  await standIn.down(50, "reset");
  await eventually(
    "all of it to be compensated",
    async () => (await running.service.journal.backlog()).compensations.vendor.count,
    (count) => count === 0,
  );
  const placedIds = customers.answers.filter(({ status }) => status === 200).map(({ json }) => json.order_id);
  expect(standing(standIn.ledger.snapshot())).toEqual(placedIds.flatMap((id) => STEPS.map((step) => `${id}:1:${step}`)).sort());
  expect(running.service.threads.counters().groups).toBe(0);
});

test("a vendor that asks every order to wait: it is left alone, and who is refused is told for how long", async () => {
  let calls = 0;
  let asks = true;
  let askedAtMs = 0;
  await using fixture = await startWithProviders(
    {},
    {
      faultModeOf({ step, action }) {
        if (step !== "vendor" || action !== "perform" || !asks) return undefined;
        if (calls++ === 0) askedAtMs = performance.now();
        return { type: "failBefore", status: 429, headers: { "retry-after": "2" } };
      },
    },
  );
  const place = (orderId: string, headers = {}) => postOrder(fixture.port, { order_id: orderId, amount: 5 }, { headers });
  for (let n = 0; calls < 20; n++) await place(`o-${n}`);
  const key = { "idempotency-key": "refused" };
  const refused = await place("refused", key);
  expect([refused.status, Number(refused.headers["retry-after"])]).toEqual([
    503,
    expect.toSatisfy((seconds) => seconds === 1 || seconds === 2),
  ]);
  expect(calls).toBe(20);
  const again = await place("refused", key);
  // Its answer is the one of its key, and says nothing of now.
  expect([again.headers["idempotent-replayed"], again.headers["retry-after"]]).toEqual(["true", undefined]);
  asks = false;
  await eventually("an order that is placed", async () => (await place("placed")).status === 200);
  expect(performance.now() - askedAtMs).toBeGreaterThanOrEqual(2_000);
});
