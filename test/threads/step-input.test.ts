import { afterAll, beforeAll, expect, test } from "vitest";
import type { AttemptInput, Simulation } from "../../src/orders/step.ts";
import type { StepSpec } from "../../src/orders/step-runner.ts";
import { STEP_CODECS } from "../../src/orders/step-task.ts";
import { STEPS, type StepName } from "../../src/orders/steps.ts";
import { ThreadStepRunner } from "../../src/orders/thread-step-runner.ts";
import { CancelScope, openThreads, type Threads } from "../../src/threads/index.ts";
import { ABSENT, DEADLY } from "./echo.ts";

const deaths = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
let threads: Threads<never>;
let runner: ThreadStepRunner;

beforeAll(async () => {
  threads = await openThreads({
    file: new URL("./echo.ts", import.meta.url),
    shared: 1,
    exclusive: 1,
    exclusiveOnDemand: false,
    codecs: STEP_CODECS,
    settings: { deaths },
  });
  runner = new ThreadStepRunner(threads, () => {});
});
afterAll(() => threads.close());

/** The action and the input that a step gets on its thread. */
async function received(name: StepName, input: AttemptInput, more: Partial<StepSpec> = {}): Promise<unknown> {
  const group = runner.open(new CancelScope());
  try {
    const { outcome } = await group.run({ name, action: "perform", computes: false, retryable: false, ...more }, input);
    if (outcome.status !== "failed" || outcome.answer === undefined) throw new Error(`no echo: ${JSON.stringify(outcome)}`);
    return JSON.parse(outcome.answer);
  } finally {
    group.close();
  }
}

const [one, other] = STEPS as readonly StepName[] as readonly [StepName, StepName];
const ORDER = { orderId: "o-1", amount: 2, attempt: 3 };
const NOT_SIMULATED = { fails: false, delayMs: ABSENT, cpuMs: ABSENT };

test("a step gets the order, its trace or none, and only its own part of the simulation", async () => {
  const simulations: [Simulation | undefined, object][] = [
    [undefined, NOT_SIMULATED],
    [{}, NOT_SIMULATED],
    [{ failStep: other, delayMs: { [other]: 5 }, cpuMs: { [other]: 6 } }, NOT_SIMULATED],
    [{ failStep: one }, { ...NOT_SIMULATED, fails: true }],
    [{ delayMs: { [one]: 0, [other]: 5 } }, { ...NOT_SIMULATED, delayMs: 0 }],
    [{ cpuMs: { [one]: 7, [other]: 6 } }, { ...NOT_SIMULATED, cpuMs: 7 }],
    [
      { failStep: one, delayMs: { [one]: 8 }, cpuMs: { [one]: 9 } },
      { fails: true, delayMs: 8, cpuMs: 9 },
    ],
  ];
  for (const action of ["perform", "compensate"] as const) {
    for (const traceparent of [undefined, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]) {
      for (const [simulation, simulated] of simulations) {
        const input = { ...ORDER, ...(traceparent !== undefined && { traceparent }), ...(simulation !== undefined && { simulation }) };
        const expected = { action, ...ORDER, traceparent: traceparent ?? ABSENT, simulation: simulated };
        expect(await received(one, input, { action })).toEqual(expected);
      }
    }
  }
});

test("repeated after its thread's death, a step gets the same once more", async () => {
  const simulation = { failStep: one, delayMs: { [one]: 1 }, cpuMs: { [one]: 2 } };
  const input = { ...ORDER, orderId: DEADLY, traceparent: "00-1-1-01", simulation };
  const expected = { ...input, action: "perform", simulation: { fails: true, delayMs: 1, cpuMs: 2 } };
  expect(await received(one, input, { retryable: true })).toEqual(expected);
  expect(new Int32Array(deaths)[0]).toBe(2);
});
