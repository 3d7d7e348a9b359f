import type { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { LongSteps } from "../../src/diagnosis/long-steps.ts";
import type { DispatchedStep } from "../../src/threads/dispatched-step.ts";
import { PoolThread } from "../../src/threads/pool-thread.ts";
import { newStep } from "../threads/new-step.ts";

const MARK_MS = 50;

function fixture() {
  const steps: DispatchedStep[] = [];
  const long = new LongSteps({
    get lastStepId() {
      return steps.at(-1)?.id ?? 0;
    },
    unsettled: () => steps.filter(({ settled }) => !settled),
  });
  const thread = new PoolThread({ threadId: 7 } as Worker);
  let nowMs = 0;
  return {
    long,
    steps,
    begin() {
      const step = newStep();
      steps.push(step);
      step.moveTo(thread);
      return step;
    },
    end(step: ReturnType<typeof newStep>) {
      step.settle({ status: "ok" });
    },
    pass(ms: number) {
      for (const end = nowMs + ms; nowMs < end; ) {
        nowMs += MARK_MS;
        long.mark(nowMs);
      }
    },
    shown: () => long.sample(nowMs).map(({ sinceMs }) => sinceMs),
  };
}

test("a step is shown once it has run for 300 ms, and until it ends", () => {
  const { begin, end, pass, shown } = fixture();
  pass(1_000);
  const step = begin();
  pass(300);
  expect(shown()).toEqual([]);
  pass(50);
  expect(shown()).toEqual([1_050]);
  pass(30_000);
  expect(shown()).toEqual([1_050]);
  end(step);
  expect(shown()).toEqual([]);
});

test("a step that waits for a thread does not run", () => {
  const { long, steps, pass, shown } = fixture();
  steps.push(newStep());
  pass(1_000);
  expect(shown()).toEqual([]);
  expect(long.sample(0)).toEqual([]);
});

test("of many the oldest and the youngest are shown, and keep their places; what is shown is bounded", () => {
  const { begin, end, pass, shown } = fixture();
  pass(50);
  const steps = Array.from({ length: 100 }, () => {
    const step = begin();
    pass(50);
    return step;
  });
  pass(300);
  const first = shown();
  const ages = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => 100 + 50 * (from + n));
  expect(first.toSorted((a, b) => a - b)).toEqual([...ages(0, 8), ...ages(92, 100)]);
  expect(shown()).toEqual(first);
  // Two places become free: one for the oldest of the rest, one for the youngest.
  for (const n of [3, 95]) end(steps[n] as (typeof steps)[number]);
  expect(new Set(shown())).toEqual(new Set([...ages(0, 3), ...ages(4, 9), ...ages(91, 95), ...ages(96, 100)]));
});

test("what ran before anybody looked has run since then at least; when nobody looks nothing is held", () => {
  const { begin, long, pass, shown } = fixture();
  begin();
  pass(50);
  expect(shown()).toEqual([]);
  pass(300);
  expect(shown()).toEqual([50]);
  long.forget();
  expect(shown()).toEqual([]);
});
