import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { CancelScope } from "../../src/concurrency/cancel-scope.ts";
import { monotonicMs } from "../../src/concurrency/clock.ts";
import { ThreadRuntime } from "../../src/threads/thread-runtime.ts";

const WORKER_FILE = fileURLToPath(new URL("./deadline-steps.ts", import.meta.url));
const STEP = { name: "payment", action: "do", computes: false, repeatable: false } as const;

test("a step knows the earliest deadline of its order's scope and of those it follows, on its own thread's clock", async () => {
  const seen = new SharedArrayBuffer(8);
  const runtime = await ThreadRuntime.start({
    workerFile: WORKER_FILE,
    threads: 1,
    cpuThreads: 1,
    cancelGraceMs: 250,
    maxRuns: 4,
    settings: { seen },
  });
  const deadlineSeen = async (scope: CancelScope) => {
    const run = runtime.open(scope);
    await run.run(STEP, { orderId: "o", amount: 1, attempt: 1 });
    run.close();
    return new Float64Array(seen)[0];
  };
  expect(await deadlineSeen(new CancelScope())).toBeNaN();

  const parent = new CancelScope();
  const before = monotonicMs();
  const stopParent = parent.cancelAfter(60_000);
  const after = monotonicMs();
  const child = new CancelScope();
  child.follow(parent);
  const inherited = await deadlineSeen(child);
  expect(inherited).toBeGreaterThanOrEqual(before + 60_000);
  expect(inherited).toBeLessThanOrEqual(after + 60_000);

  const stopChild = child.cancelAfter(30_000);
  expect(await deadlineSeen(child)).toBeLessThan(before + 60_000);
  stopParent();
  stopChild();
  await runtime.close();
});
