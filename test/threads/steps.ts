import { pbkdf2Sync } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parentPort } from "node:worker_threads";
import type { StepInput } from "../../src/orders/step.ts";
import { STEPS, type StepName } from "../../src/orders/steps.ts";
import { serve } from "../../workers/runtime/serve.ts";
import { type Step, StepFailed } from "../../workers/steps/step.ts";
import type { StepContext } from "../../workers/steps/step-context.ts";
import { FAILURE, type Plan, type Script, type StartFault, type StepSettings } from "./script.ts";
import { SharedCounters } from "./shared-counters.ts";

// About what one core of an ordinary machine does; only its order of magnitude matters.
const PBKDF2_ROUNDS_A_MS = 1_500;

const contexts = new Set<WeakRef<StepContext>>();
let startFault: StartFault;

export const standingTask = serve((settings: StepSettings) => {
  const counters = new SharedCounters(settings.counters);
  startFault = settings.startFaults[counters.add(settings.starts) - 1];
  if (startFault === "exit") process.exit(3);
  if (startFault === "throw") throw new Error("this thread does not start");
  // The first thing it posts says which row it has claimed, so the pool never hears of that.
  if (startFault === "exit_before_ready" && parentPort !== null) parentPort.postMessage = () => process.exit(9);
  if (startFault === "wait_at_gate") counters.block(settings.startGate);
  return Object.fromEntries(STEPS.map((name) => [name, step(name, counters, settings.url)]));
});

// The row is claimed and the message that says so is out, but the pool cannot have read it.
if (startFault === "exit_after_ready") process.exit(4);

function step(name: StepName, counters: SharedCounters, url: string): Step {
  const runs: Step = {
    async run(input, context) {
      const script = scriptOf(name, input);
      contexts.add(new WeakRef(context));
      if (script.calls === true) context.callUnderWay = true;
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
  context: StepContext,
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
      pbkdf2Sync("password", "salt", PBKDF2_ROUNDS_A_MS * (script.ms ?? 1), 64, "sha512");
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
      return await forEver();
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
        // Else it would be the heartbeat that ends it on a slow machine.
        context.checkpoint();
      }
    }
    case "exit_once":
      if (run === 1) process.exit(7);
      return;
    case "heap_check":
      return await heapCheck(script, counters, context);
  }
}

async function heapCheck(script: Script, counters: SharedCounters, own: StepContext): Promise<void> {
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

async function lookForCancel(script: Script, counters: SharedCounters, context: StepContext): Promise<void> {
  while (counters.read(script.gate) === 0) {
    try {
      context.checkpoint();
      context.signal.throwIfAborted();
    } catch {
      counters.add(script.stall ?? script.gate);
    }
    counters.add(script.stalled ?? script.gate);
    await turn();
  }
}

function forEver(): Promise<never> {
  return new Promise(() => {});
}
