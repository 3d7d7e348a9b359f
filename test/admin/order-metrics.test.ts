import { expect, test } from "vitest";
import { perStep } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { Exposition } from "../support/exposition.ts";
import { newId, orderOf, postOrder, send } from "../support/http-client.ts";
import { startService } from "../support/service.ts";

const scrape = async (adminPort: number) => new Exposition((await send(adminPort, { path: "/metrics" })).text);

const NOT_YET = 600_000;

test("orders, steps, cancels, capacity and threads are counted as they were", { tags: ["three-steps"] }, async () => {
  await using server = await startService(
    {
      THREADS: "2",
      CPU_THREADS: "1",
      COURIER_CAPACITY: "1",
      ORDER_TIMEOUT_MS: String(NOT_YET),
    },
    { exclusiveAtStart: true },
  );
  const { port, adminPort } = server;
  const before = await scrape(adminPort);
  const order = (more: object) => postOrder(port, { order_id: newId("counted"), amount: 1, ...more });
  const none = perStep(() => 0);

  for (let n = 0; n < 3; n++) expect((await order({ delay_ms: none })).status).toBe(200);
  // The vendor and the courier are stopped by the payment; both are on a thread by then.
  const declined = { fail_step: "payment", delay_ms: { payment: 50, vendor: NOT_YET, courier: NOT_YET } };
  for (let n = 0; n < 2; n++) expect((await order(declined)).json.error.kind).toBe("payment_declined");
  const placed = newId("placed");
  await postOrder(port, orderOf(placed, 0));
  expect((await postOrder(port, { ...orderOf(placed, 0), amount: 2 })).status).toBe(409);

  const after = await scrape(adminPort);
  const expected: Record<string, number> = {
    'orders_total{status="ok",kind=""}': 4,
    'orders_total{status="error",kind="payment_declined"}': 2,
    'orders_total{status="error",kind="timeout"}': 0,
    'orders_total{status="refused",kind="order_conflict"}': 1,
    'orders_total{status="refused",kind="overloaded"}': 0,
    order_duration_seconds_count: 6,
    'order_duration_seconds_bucket{le="+Inf"}': 6,
    'steps_total{step="payment",status="ok"}': 4,
    'steps_total{step="payment",status="error"}': 2,
    'steps_total{step="vendor",status="canceled"}': 2,
    'steps_total{step="courier",status="canceled"}': 2,
    'step_duration_seconds_count{step="payment"}': 6,
    'step_duration_seconds_count{step="courier"}': 6,
    step_cancel_seconds_count: 4,
    steps_running: 0,
    orders_in_flight: 0,
    'capacity_in_use{step="courier"}': 0,
    'threads{pool="shared"}': 2,
    'threads{pool="exclusive"}': 1,
    'threads_replaced_total{reason="killed"}': 0,
    'circuit_state{step="vendor"}': 0,
    journal_healthy: 1,
  };
  for (const [series, value] of Object.entries(expected)) expect([series, after.value(series)]).toEqual([series, value]);
  // Two of them took 50 ms and more.
  const slow = 6 - (after.value('order_duration_seconds_bucket{le="0.05"}') ?? 0);
  expect(slow).toBeGreaterThanOrEqual(2);
  expect(after.value("order_duration_seconds_sum")).toBeGreaterThanOrEqual(0.1);
  // What is counted makes no new series.
  expect(after.series.filter((series) => !/^(nodejs|process)_/.test(series))).toEqual(
    before.series.filter((series) => !/^(nodejs|process)_/.test(series)),
  );

  const hangUp = new AbortController();
  const holding = [0, 1].map(() =>
    postOrder(port, { order_id: newId("holds"), amount: 1, delay_ms: perStep(() => NOT_YET) }, { signal: hangUp.signal }),
  );
  await eventually("two orders and one courier", async () => {
    const now = await scrape(adminPort);
    return now.value("orders_in_flight") === 2 && now.value('steps_waiting{step="courier"}') === 1 && now.value("steps_running") === 5;
  });
  const busy = await scrape(adminPort);
  expect(busy.value('capacity_in_use{step="courier"}')).toBe(1);
  expect(busy.value('capacity_in_use{step="vendor"}')).toBe(2);
  expect(server.service.threads.killThread()).toBeDefined();
  await eventually("the thread to be replaced", async () => {
    const now = await scrape(adminPort);
    return now.value('threads_replaced_total{reason="killed"}') === 1 && now.value('threads{pool="shared"}') === 2;
  });
  hangUp.abort();
  await Promise.allSettled(holding);
});
