import { writeSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { STEP_CODECS } from "../../src/orders/step-task.ts";
import { ThreadStepRunner } from "../../src/orders/thread-step-runner.ts";
import { CancelScope, openThreads } from "../../src/threads/index.ts";
import type { StepSettings } from "./script.ts";
import { SharedCounters } from "./shared-counters.ts";

// A program of its own, as it stops itself: cancels a step and is stopped before the thread can act on it. Whoever
// started it wakes it up after the time that it names: long past the grace.
const STOPS = 5;
const STOP_MS = 700;
const counters = new SharedCounters();
const settings: StepSettings = { counters: counters.buffer, url: "", starts: counters.take(), startGate: counters.take(), startFaults: [] };
const threads = await openThreads({
  file: new URL("./steps.ts", import.meta.url),
  shared: 4,
  exclusive: 1,
  exclusiveOnDemand: false,
  codecs: STEP_CODECS,
  graceMs: 200,
  settings,
});
const runner = new ThreadStepRunner(threads, () => {});
let stopped = 0;
for (let n = 0; n < STOPS; n++) {
  const script = { do: "sleep", runs: counters.take(), ends: counters.take(), gate: counters.take() };
  const scope = new CancelScope();
  const run = runner.open(scope);
  const input = { orderId: JSON.stringify({ vendor: script }), amount: 1, attempt: 1 };
  const ended = run.run({ name: "vendor", action: "perform", computes: false, retryable: false }, input);
  await counters.reached(script.runs);
  writeSync(1, `stopping for ${STOP_MS}\n`);
  // In a turn in which nothing is read any more before the timers, of which the grace is one.
  await turn();
  scope.cancel("deadline");
  process.kill(process.pid, "SIGSTOP");
  const { outcome } = await ended;
  // One that was given up would leave its effect unknown.
  if (outcome.status === "canceled" && outcome.effect === "none") stopped++;
  run.close();
}
// Longer than a thread lives that is found to stand still with a step that was given up.
await new Promise((resolve) => setTimeout(resolve, 2_000));
const replaced = [...threads.statistics().replaced.values()].reduce((sum, count) => sum + count, 0);
process.stdout.write(`stopped ${STOPS} times, stopped ${stopped} steps, replaced ${replaced} threads\n`);
await threads.close();
