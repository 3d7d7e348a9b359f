import { expect } from "vitest";
import type { StepOutcome } from "../../src/orders/step.ts";
import type { ReplaceReason } from "../../src/threads/index.ts";
import type { Fixture } from "./fixture.ts";

export const OK: StepOutcome = { status: "ok" };
export const lost = (reason: ReplaceReason): StepOutcome => ({ status: "lost", reason: `thread ended: ${reason}`, effect: "unknown" });
export const canceled = (effect: "none" | "unknown" = "unknown"): StepOutcome => ({
  status: "canceled",
  cause: "client_disconnected",
  effect,
});

/** What is true after any fault that cost one thread. */
export async function expectRecovered(fixture: Fixture, reason: ReplaceReason, computes = false, fault?: RegExp): Promise<void> {
  fixture.expectIdle();
  expect(fixture.faults).toEqual(fault === undefined ? [] : [expect.stringMatching(fault)]);
  // The next step works, though its thread may still be starting.
  const next = fixture.lone("succeed", { computes });
  expect(await next.outcome).toEqual(OK);
  expect(fixture.runsOf(next)).toBe(1);
  expect(fixture.reasons()).toEqual([reason]);
  expect(Object.fromEntries(fixture.threads.statistics().replaced)).toEqual({ [reason]: 1 });
  await fixture.allThreadsUp();
  fixture.expectIdle();
}
