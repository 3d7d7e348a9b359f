import { expect, test, vi } from "vitest";
import { computingSteps, Pipeline } from "../../src/orders/pipeline.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import { CancelScope, Capacity } from "../../src/threads/index.ts";
import { FakeRunner } from "../threads/fake-runner.ts";

vi.mock("../../src/orders/steps/vendor.ts", async (original) => {
  const { vendor } = await original<typeof import("../../src/orders/steps/vendor.ts")>();
  return { vendor: { ...vendor, computes: true } };
});

const INPUT = { orderId: "o", amount: 1, attempt: 1 };

async function threadsOf(simulation?: { cpuMs: { courier: number } }): Promise<Record<string, boolean>> {
  const runner = new FakeRunner();
  runner.onStart = (step) => step.end({ status: "ok" });
  const order = { ...INPUT, ...(simulation !== undefined && { simulation }) };
  await new Pipeline(
    runner,
    perStep(() => new Capacity(1)),
  ).run(order, new CancelScope());
  return Object.fromEntries(runner.started.map(({ spec }) => [spec.name, spec.computes]));
}

test("a step that says so gets a thread of its own in every order, and no other step does", async () => {
  expect(await threadsOf()).toEqual(perStep((step) => step === "vendor"));
  expect(await threadsOf({ cpuMs: { courier: 1 } })).toEqual(perStep((step) => step !== "payment"));
});

test("whoever admits orders knows of it", () => {
  expect(computingSteps({})).toEqual(["vendor"]);
  expect(computingSteps({ simulation: { cpuMs: { courier: 1, vendor: 0 } } })).toEqual(STEPS.slice(1));
});
