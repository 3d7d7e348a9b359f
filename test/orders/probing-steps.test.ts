import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { CancelCause } from "../../src/orders/cancel-cause.ts";
import { Pipeline } from "../../src/orders/pipeline.ts";
import { ProviderHealth } from "../../src/orders/provider-health.ts";
import type { StepOutcome } from "../../src/orders/step.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import { CancelScope, Capacity } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { FakeRunner } from "../threads/fake-runner.ts";

const OK: StepOutcome = { status: "ok" };

/** An order that finds the circuits of payment and vendor open, when both let a probe through. */
async function probing() {
  const providers = { payment: new ProviderHealth({ random: () => 0 }), vendor: new ProviderHealth({ random: () => 0 }) };
  for (const { circuit } of Object.values(providers)) {
    for (let n = 0; circuit.state === "closed"; n++) {
      const pass = circuit.tryEnter(`failing ${n}`);
      if (pass !== undefined) circuit.leave(pass, "failed");
    }
  }
  await eventually("time for a probe of each", () => providers.payment.circuit.admits && providers.vendor.circuit.admits);
  const runner = new FakeRunner();
  const capacities = perStep(() => new Capacity(1));
  const scope = new CancelScope<CancelCause>();
  const order = new Pipeline(runner, capacities, providers).run({ orderId: "o", amount: 1, attempt: 1 }, scope);
  return { providers, runner, capacities, scope, order };
}

test("two open circuits are probed one after the other, the payment last, and then the order's other steps run", async () => {
  const { providers, runner, order } = await probing();
  await turn();
  expect(runner.names()).toEqual(["vendor"]);
  runner.step("vendor").end(OK);
  await turn();
  expect(runner.names()).toEqual(["vendor", "payment"]);
  runner.step("payment").end(OK);
  await turn();
  expect(runner.names()).toEqual(["vendor", "payment", ...STEPS.filter((step) => step !== "vendor" && step !== "payment")]);
  runner.endAll(OK);
  expect((await order).error).toBeUndefined();
  expect(Object.values(providers).map(({ circuit }) => circuit.state)).toEqual(["half_open", "half_open"]);
});

test("of a probe that fails nobody is charged, and the other circuit has its probe still", async () => {
  const { providers, runner, capacities, order } = await probing();
  runner.step("vendor").end({ status: "failed", kind: "vendor_unavailable", effect: "none", unavailable: {} });
  const statuses = (await order).steps.map(({ outcome }) => outcome.status);
  expect(statuses).toEqual(STEPS.map((step) => (step === "vendor" ? "failed" : "canceled")));
  expect([runner.names(), providers.payment.circuit.admits]).toEqual([["vendor"], true]);
  expect(Object.values(capacities).every(({ inUse }) => inUse === 0)).toBe(true);
});

test.each(["vendor", "payment"] as const)("an order that is canceled while the %s is probed begins nothing more", async (step) => {
  const { runner, scope, order } = await probing();
  if (step === "payment") runner.step("vendor").end(OK);
  await turn();
  expect(runner.names().at(-1)).toBe(step);
  const { length } = runner.started;
  scope.cancel("client_disconnected");
  expect((await order).error).toBe("canceled");
  expect(runner.started).toHaveLength(length);
});
