import { DispatchedStep } from "../../src/threads/dispatched-step.ts";
import type { DispatchedGroup } from "../../src/threads/step-group.ts";

let lastId = 0;

/** A step that no thread has and nobody waits for. */
export function newStep(): DispatchedStep {
  const input = { orderId: "o-1", amount: 1, attempt: 1 };
  const spec = { name: "vendor", action: "perform", computes: false, retryable: false } as const;
  const group = {
    slot: 0,
    generation: 0,
    cause: undefined,
    stepSettled() {},
    step: () => undefined,
    unsettled: () => [],
  } as unknown as DispatchedGroup;
  return new DispatchedStep(++lastId, spec, input, group, () => {});
}
