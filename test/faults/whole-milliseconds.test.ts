import { expect, test } from "vitest";
import { answerTo } from "../../src/orders/answer.ts";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import type { OrderOutcome } from "../../src/orders/outcome.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import { ProviderHealth } from "../../src/orders/provider-health.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import type { Pass } from "../../src/resilience/circuit-breaker.ts";
import { CancelScope, Capacity } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { FakeRunner } from "../threads/fake-runner.ts";

const ORDERS = 50;

function timesOf(outcome: OrderOutcome): number[] {
  return answerTo("o", outcome, []).steps.map(({ duration_ms: ms }) => ms);
}

test.each(STEPS)(
  "an answer has whole milliseconds also where the circuit of %s refuses the order, at once or at its probe",
  async (step) => {
    const runner = new FakeRunner();
    const health = new ProviderHealth({ opensAfter: 1, random: () => 1 });
    const pipeline = new Pipeline(
      runner,
      perStep(() => new Capacity(ORDERS)),
      { [step]: health },
    );
    const run = () => pipeline.run({ orderId: "o", amount: 1, attempt: 1 }, new CancelScope<CancelCause>());
    health.circuit.leave(health.circuit.tryEnter("failing") as Pass, "failed");

    const refused = await Promise.all(Array.from({ length: ORDERS }, run));
    expect(runner.started).toEqual([]);
    expect(refused.flatMap(timesOf).filter((ms) => !Number.isInteger(ms) || ms < 0)).toEqual([]);

    await eventually("its probe to be due", () => health.circuit.admits);
    const probing = run();
    expect(runner.names()).toEqual([step]);
    runner.step(step).end({ status: "failed", kind: "internal", effect: "none" });
    const probed = timesOf(await probing);
    expect(probed).toHaveLength(STEPS.length);
    expect(probed.filter((ms) => !Number.isInteger(ms) || ms < 0)).toEqual([]);
  },
);
