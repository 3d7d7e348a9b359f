import { expect, test } from "vitest";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import { perStep } from "../../src/orders/steps.ts";
import { CancelScope, Capacity, monotonicMs } from "../../src/threads/index.ts";
import { FakeRunner } from "../threads/fake-runner.ts";

const HOLD_MS = 60_000;

test("steps that are cut off because the courier would come too late do not say how long such steps take", async () => {
  const startedAtMs = monotonicMs();
  let nowMs = startedAtMs - HOLD_MS;
  const capacities = perStep(() => new Capacity(1, { endsHopelessWaits: true, nowMs: () => nowMs }));
  const { payment, courier } = capacities;
  const busy = await courier.acquire();
  nowMs = startedAtMs;
  for (const capacity of [payment, courier]) capacity.holdTime().add(HOLD_MS);
  const scope = new CancelScope<CancelCause>();
  const stopTimer = scope.cancelAfter(HOLD_MS);
  const order = new Pipeline(new FakeRunner(), capacities).run({ orderId: "o", amount: 1, attempt: 1 }, scope);
  // The permit is of use to this one.
  const behind = courier.acquire();
  nowMs += 100;
  busy.release();
  expect((await order).error).toBe("timeout");
  const holds = payment.holdTime();
  expect([holds.known, holds.expectedMs(nowMs)]).toEqual([2, HOLD_MS]);
  (await behind).release();
  stopTimer();
});
