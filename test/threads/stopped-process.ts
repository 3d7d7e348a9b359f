import { writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { CancelScope } from "../../src/threads/index.ts";
import { ThreadRuntime } from "../../src/threads/thread-runtime.ts";
import type { StepSettings } from "./script.ts";
import { SharedCounters } from "./shared-counters.ts";

// A program of its own, as it stops itself: cancels a step and is stopped before the thread can act on it. Whoever
// started it wakes it up after the time that it names: long past the grace, and past the age at which a beat is old.
const STOPS = 10;
const STOP_MS = 350;
const counters = new SharedCounters();
const settings: StepSettings = { counters: counters.buffer, url: "", starts: counters.take(), startGate: counters.take(), startFaults: [] };
const runtime = await ThreadRuntime.start({
  workerFile: fileURLToPath(new URL("./steps.ts", import.meta.url)),
  threads: 4,
  cpuThreads: 1,
  cancelGraceMs: 50,
  longestStepMs: 10_000,
  maxGroups: 10,
  settings,
});
let canceled = 0;
for (let n = 0; n < STOPS; n++) {
  const script = { do: "sleep", runs: counters.take(), ends: counters.take(), gate: counters.take() };
  const scope = new CancelScope();
  const run = runtime.open(scope);
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
const replaced = [...runtime.replaced().values()].reduce((sum, count) => sum + count, 0);
process.stdout.write(`stopped ${STOPS} times, canceled ${canceled} steps, replaced ${replaced} threads\n`);
await runtime.close();
