import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { MessagePort, workerData } from "node:worker_threads";
import type { StepInput } from "../../src/orders/step.ts";
import { CALLING } from "../../src/orders/step-task.ts";
import { STEPS, type StepName } from "../../src/orders/steps.ts";
import { Layout, OWNER } from "../../src/threads/layout.ts";
import type { ThreadSetup } from "../../src/threads/protocol.ts";
import type { TaskContext } from "../../src/threads/worker/index.ts";
import { type Step, StepFailed } from "../../workers/steps/step.ts";
import { tasksOf } from "../../workers/steps/tasks-of.ts";
import { FAILURE, type Plan, type Script, type StartFault, type StepSettings } from "./script.ts";
import { SharedCounters } from "./shared-counters.ts";

const contexts = new Set<WeakRef<TaskContext>>();

export const tasks = tasksOf((settings: StepSettings & { tracing?: boolean }) => {
  const counters = new SharedCounters(settings.counters);
  startAsPlanned(settings.startFaults[counters.add(settings.starts) - 1], () => counters.block(settings.startGate));
  return Object.fromEntries(STEPS.map((name) => [name, step(name, counters, settings.url)]));
});

function step(name: StepName, counters: SharedCounters, url: string): Step {
  const runs: Step = {
    async run(input, context) {
      const script = scriptOf(name, input);
      contexts.add(new WeakRef(context));
      if (script.calls === true) context.progress = CALLING;
      counters.add(script.runs);
      try {
        await perform(name, script, counters, url, context);
      } finally {
        counters.add(script.ends);
      }
    },
  };
  return {
    run: (input, context) =>
      scriptOf(name, input).do === "return_nothing" ? (undefined as unknown as Promise<void>) : runs.run(input, context),
  };
}

function scriptOf(name: StepName, input: StepInput): Script {
  const script = (JSON.parse(input.orderId) as Plan)[name];
  if (script === undefined) throw new Error(`no script for step ${name}`);
  return script;
}

async function perform(name: StepName, script: Script, counters: SharedCounters, url: string, context: TaskContext): Promise<void> {
  switch (script.do) {
    case "succeed":
    case "return_nothing":
      return;
    case "wait":
      return await counters.reached(script.gate, 1, context.signal);
    case "wait_then_fail":
      await counters.reached(script.gate, 1, context.signal);
      throw new StepFailed(FAILURE[name], "none", "as planned");
    case "wait_ignoring_cancel":
      return await counters.reached(script.gate);
    case "hold_thread":
      return counters.block(script.gate);
    case "sleep":
      return await context.sleep(script.ms ?? 600_000);
    case "fetch":
      await fetch(url, { signal: context.signal });
      return;
    case "compute":
      while (counters.read(script.gate) === 0) context.checkpoint();
      return;
    case "compute_ms": {
      const end = performance.now() + (script.ms ?? 0);
      while (performance.now() < end) context.checkpoint();
      return;
    }
    case "spin":
      for (;;);
    case "ignore_cancel":
      for (;;) await new Promise((resolve) => setTimeout(resolve, 1));
    case "throw_in_step":
      throw new TypeError("a bug in a step");
    case "throw_odd_value":
      throw Object.create(null);
    case "exit":
      return process.exit(5);
    case "wait_then_exit":
      await counters.reached(script.gate);
      return process.exit(8);
    case "heap_check":
      return await heapCheck(script, counters, context);
    case "count_rows":
      return counters.write(script.gate, rowsOwned());
  }
}

async function heapCheck(script: Script, counters: SharedCounters, own: TaskContext): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  // What was looked at through a WeakRef, and what a promise just handed over, stays alive until its turn ends.
  for (let n = 0; n < 3; n++) {
    await turn();
    collect();
  }
  let left = 0;
  for (const reference of contexts) {
    const context = reference.deref();
    if (context === undefined) contexts.delete(reference);
    else if (context !== own) left++;
  }
  counters.write(script.gate, process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length);
  counters.write(script.ms ?? script.gate, left);
}

/** How many threads have a row of their own in the shared memory, or had one that nobody has freed. */
function rowsOwned(): number {
  const layout = new Layout((workerData as ThreadSetup).layout);
  const rows = Array.from({ length: layout.handle.rows }, (_, row) => layout.words[layout.rowAt(row, OWNER)]);
  return rows.filter((owner) => owner !== 0).length;
}

/** Has this thread start as a test has planned it. `block` stops the whole thread at a gate. */
function startAsPlanned(fault: StartFault, block: () => void): void {
  if (fault === "exit") process.exit(3);
  if (fault === "throw") throw new Error("this thread does not start");
  if (fault === "wait_at_gate") block();
  // The first thing that it posts says that it is ready.
  if (fault === "exit_before_ready") MessagePort.prototype.postMessage = () => process.exit(9);
  if (fault === "exit_after_ready") {
    const { postMessage } = MessagePort.prototype;
    MessagePort.prototype.postMessage = function (this: MessagePort, value) {
      postMessage.call(this, value);
      process.exit(4);
    };
  }
}
