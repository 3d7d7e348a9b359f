import { writeSync } from "node:fs";
import { STEP_CODECS } from "../../src/orders/step-task.ts";
import { ThreadStepRunner } from "../../src/orders/thread-step-runner.ts";
import { CancelScope, openThreads } from "../../src/threads/index.ts";
import type { StepSettings } from "./script.ts";
import { SharedCounters } from "./shared-counters.ts";

// A program of its own, as it stops itself: cancels a step and is stopped before the thread can act on it. Whoever
// started it wakes it up after the time that it names: long past the grace.
const STOPS = 10;
const STOP_MS = 350;
const counters = new SharedCounters();
const settings: StepSettings = { counters: counters.buffer, url: "", starts: counters.take(), startGate: counters.take(), startFaults: [] };
const threads = await openThreads({
  file: new URL("./steps.ts", import.meta.url),
  shared: 4,
  exclusive: 1,
  exclusiveOnDemand: false,
  codecs: STEP_CODECS,
  graceMs: 50,
  settings,
});
const runner = new ThreadStepRunner(threads, () => {});
let canceled = 0;
for (let n = 0; n < STOPS; n++) {
  const script = { do: "sleep", runs: counters.take(), ends: counters.take(), gate: counters.take() };
  const scope = new CancelScope();
  const run = runner.open(scope);
  const input = { orderId: JSON.stringify({ vendor: script }), amount: 1, attempt: 1 };
  const ended = run.run({ name: "vendor", action: "perform", computes: false, retryable: false }, input);
  await counters.reached(script.runs);
  scope.cancel("deadline");
  writeSync(1, `stopping for ${STOP_MS}\n`);
  process.kill(process.pid, "SIGSTOP");
  if ((await ended).outcome.status === "canceled") canceled++;
  run.close();
}
// A thread that was condemned may still be on its way out.
await new Promise((resolve) => setTimeout(resolve, 100));
const replaced = [...threads.statistics().replaced.values()].reduce((sum, count) => sum + count, 0);
process.stdout.write(`stopped ${STOPS} times, canceled ${canceled} steps, replaced ${replaced} threads\n`);
await threads.close();
