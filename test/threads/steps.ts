import { execFileSync } from "node:child_process";
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { workerData } from "node:worker_threads";
import type { StepInput } from "../../src/orders/step.ts";
import { CALLING } from "../../src/orders/step-task.ts";
import { STEPS, type StepName } from "../../src/orders/steps.ts";
import { Layout, OWNER } from "../../src/threads/layout.ts";
import type { ThreadSetup } from "../../src/threads/protocol.ts";
import type { TaskContext } from "../../src/threads/worker/index.ts";
import { type Step, StepFailed } from "../../workers/steps/step.ts";
import { tasksOf } from "../../workers/steps/tasks-of.ts";
import { FAILURE, type Plan, type Script, type StepSettings } from "./script.ts";
import { SharedCounters } from "./shared-counters.ts";
import { startAsPlanned } from "./start-fault.ts";

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
      const run = counters.add(script.runs);
      try {
        await perform(name, script, run, counters, url, context);
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

async function perform(
  name: StepName,
  script: Script,
  run: number,
  counters: SharedCounters,
  url: string,
  context: TaskContext,
): Promise<void> {
  switch (script.do) {
    case "succeed":
    case "return_nothing":
      return;
    case "wait":
      return await counters.reached(script.gate, 1, context.signal);
    case "wait_then_fail":
      await counters.reached(script.gate, 1, context.signal);
      throw new StepFailed(FAILURE[name], "none", "as planned");
    case "wait_ignoring_cancel_then_fail":
      await counters.reached(script.gate);
      throw new StepFailed(FAILURE[name], "none", "as planned");
    case "wait_then_fail_and_die": {
      await counters.reached(script.gate);
      const { compareExchange } = Atomics;
      Object.assign(Atomics, {
        compareExchange(...values: Parameters<typeof compareExchange>) {
          compareExchange.apply(Atomics, values);
          if (script.stalled !== undefined) counters.add(script.stalled);
          process.exit(10);
        },
      });
      throw new StepFailed(FAILURE[name], "none", "as planned");
    }
    case "wait_then_fail_and_stall": {
      await counters.reached(script.gate);
      const { compareExchange } = Atomics;
      Object.assign(Atomics, {
        compareExchange(...values: Parameters<typeof compareExchange>) {
          const before = compareExchange.apply(Atomics, values);
          Object.assign(Atomics, { compareExchange });
          counters.add(script.stalled ?? script.ends);
          counters.block(script.stall ?? script.gate);
          return before;
        },
      });
      throw new StepFailed(FAILURE[name], "none", "as planned");
    }
    case "wait_ignoring_cancel":
      return await counters.reached(script.gate);
    case "hold_thread":
      return counters.block(script.gate);
    case "leave_work_behind":
      void lookForCancel(script, counters, context);
      return;
    case "sleep":
      return await context.sleep(script.ms ?? 600_000);
    case "fetch":
      await fetch(url, { signal: context.signal });
      return;
    case "compute":
      while (counters.read(script.gate) === 0) context.checkpoint();
      return;
    case "compute_in_microtasks":
      for (;;) {
        context.checkpoint();
        await undefined;
      }
    case "compute_by_signal":
      while (!context.signal.aborted);
      return context.signal.throwIfAborted();
    case "compute_ms": {
      const end = performance.now() + (script.ms ?? 0);
      while (performance.now() < end) context.checkpoint();
      return;
    }
    case "spin":
      for (;;);
    case "ignore_cancel":
      for (;;) await new Promise((resolve) => setTimeout(resolve, 1));
    case "native_call":
      execFileSync(process.execPath, ["-e", `setTimeout(() => {}, ${script.ms})`]);
      return;
    case "throw_in_step":
      throw new TypeError("a bug in a step");
    case "throw_odd_value":
      throw Object.create(null);
    case "throw_later":
      setImmediate(() => {
        throw new Error("nobody catches this");
      });
      return await forEver();
    case "throw_in_microtask":
      queueMicrotask(() => {
        throw new Error("nobody catches this");
      });
      return await forEver();
    case "throw_null_later":
      setImmediate(() => {
        throw null;
      });
      return await forEver();
    case "reject_unhandled":
      void Promise.reject(new Error("nobody handles this"));
      return await counters.reached(script.gate, 1, context.signal);
    case "exit":
      return process.exit(5);
    case "wait_then_exit":
      await counters.reached(script.gate);
      return process.exit(8);
    case "succeed_then_exit":
      setImmediate(() => process.exit(6));
      return;
    case "out_of_memory": {
      const hoard: number[][] = [];
      for (;;) {
        hoard.push(Array.from({ length: 10_000 }, (_, n) => n * 1.5));
        // Else it would be its missing heartbeat that ends it on a slow machine.
        await turn();
      }
    }
    case "exit_once":
      if (run === 1) process.exit(7);
      return;
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

async function lookForCancel(script: Script, counters: SharedCounters, context: TaskContext): Promise<void> {
  // Its step has ended by then.
  await turn();
  while (counters.read(script.gate) === 0) {
    const told = [() => context.checkpoint(), () => context.signal.throwIfAborted()].map(causeThrown);
    const heard = told.every((cause) => cause === "ended") ? script.stalled : script.stall;
    counters.add(heard ?? script.gate);
    await turn();
  }
}

function causeThrown(look: () => void): unknown {
  try {
    look();
  } catch (error) {
    return (error as { readonly causedBy?: unknown }).causedBy;
  }
  return undefined;
}

function forEver(): Promise<never> {
  return new Promise(() => {});
}
