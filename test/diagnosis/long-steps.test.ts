import { expect, test } from "vitest";
import { LongSteps } from "../../src/diagnosis/long-steps.ts";
import { taskOf } from "../../src/orders/step-task.ts";
import type { RunningTask } from "../../src/threads/index.ts";

const MARK_MS = 50;
const THREAD_ID = 7;

type Step = { -readonly [Field in keyof RunningTask]: RunningTask[Field] };

/** A step that no thread has and nobody waits for. */
function newStep(serial: number): Step {
  const input = { orderId: "o-1", amount: 1, attempt: 2 };
  return { serial, name: taskOf("vendor", "compensate"), input, options: undefined, settled: false, threadId: undefined };
}

function fixture() {
  const steps: Step[] = [];
  const long = new LongSteps({
    get lastSerial() {
      return steps.at(-1)?.serial ?? 0;
    },
    unsettled: () => steps.filter(({ settled }) => !settled),
  });
  let nowMs = 0;
  const ask = (): Step => {
    const step = newStep(steps.length + 1);
    steps.push(step);
    return step;
  };
  return {
    long,
    ask,
    begin: (): Step => Object.assign(ask(), { threadId: THREAD_ID }),
    end(step: Step) {
      step.settled = true;
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

test("a step that waits for a thread does not run, nor one that waits for another after its thread was lost", () => {
  const { long, ask, begin, pass, shown } = fixture();
  ask();
  const lost = begin();
  pass(1_000);
  expect(shown()).toEqual([50]);
  lost.threadId = undefined;
  expect(shown()).toEqual([]);
  expect(long.sample(0)).toEqual([]);
});

test("a step is shown with its name, what it does, its order and its thread", () => {
  const { begin, long, pass } = fixture();
  begin();
  pass(400);
  expect(long.sample(400)).toEqual([
    { name: "vendor", action: "compensate", orderId: "o-1", attempt: 2, threadId: THREAD_ID, sinceMs: 50 },
  ]);
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
