import { expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { Compensator } from "../../src/orders/compensator.ts";
import { OrderService } from "../../src/orders/order-service.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import { Capacity } from "../../src/threads/index.ts";
import { temporaryFile } from "../journal/temporary-file.ts";
import { eventually } from "../support/eventually.ts";
import { FakeRunner } from "../threads/fake-runner.ts";

const ORDER = { order: { orderId: "o", amount: 1 } };

test("a repeat that is accepted in the very commit that stores the failure before it can be joined and canceled", async () => {
  const commits: number[] = [];
  const journal = await Journal.open(temporaryFile(), { onCommit: (requests) => commits.push(requests) });
  const runner = new FakeRunner();
  const capacities = perStep(() => new Capacity(9));
  const compensator = new Compensator({ runner, journal, timeoutMs: 60_000 });
  const orderService = new OrderService({
    pipeline: new Pipeline(runner, capacities),
    journal,
    compensator,
    orderTimeoutMs: 60_000,
    maxInFlight: 9,
  });
  orderService.open();
  try {
    const first = await orderService.place(ORDER);
    runner.step("vendor").end({ status: "failed", kind: "vendor_unavailable", effect: "none" });
    runner.endAll({ status: "canceled", cause: "sibling_failed", effect: "none" });
    // In the same turn of the event loop, so both share a commit; the outcome first, for that is only some promises away.
    for (let n = 0; n < 20; n++) await Promise.resolve();
    const repeat = orderService.place(ORDER);
    expect((await first.answer).error).toBe("vendor_unavailable");
    const second = await repeat;
    expect(commits).toEqual([1, 2]);
    await eventually("its steps", () => runner.running === STEPS.length);
    const third = await orderService.place(ORDER);
    expect(orderService.inFlight).toBe(2);
    runner.onStart = (step) => step.end({ status: "ok" });
    orderService.cancelAll("shutdown");
    expect((await second.answer).error).toBe("canceled");
    expect(await third.answer).toEqual(await second.answer);
    expect(orderService.inFlight).toBe(0);
    expect(runner.started.filter(({ spec }) => spec.action === "perform")).toHaveLength(2 * STEPS.length);
  } finally {
    await compensator.stop();
    await journal.close();
  }
});
