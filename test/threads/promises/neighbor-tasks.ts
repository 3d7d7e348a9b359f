import { defineTasks, monotonicMs, type TaskContext } from "../../../src/threads/worker/index.ts";
import { SharedCounters } from "../shared-counters.ts";
import type { Settings } from "./opened.ts";

export const tasks = defineTasks(({ counters: buffer }: Settings) => {
  const counters = new SharedCounters(buffer);
  return {
    async waits({ began, gate }: { began: number; gate: number }, { signal }: TaskContext) {
      counters.add(began);
      await counters.reached(gate, 1, signal);
    },
    sleeps(began: number, context: TaskContext) {
      counters.add(began);
      return context.sleep(600_000);
    },
    /** Ends when the gate opens, whoever cancels it. */
    async ignores({ began, gate }: { began: number; gate: number }) {
      counters.add(began);
      await counters.reached(gate);
    },
    /** Without a turn of the event loop, and then adds to `ended`. Gives how many had ended when it began. */
    computes({ ms, ended }: { ms: number; ended: number }, context: TaskContext) {
      const before = counters.read(ended);
      for (const end = monotonicMs() + ms; monotonicMs() < end; ) context.checkpoint();
      counters.add(ended);
      return before;
    },
    reads: (counter: number) => counters.read(counter),
    /** Awaits, but nothing that needs the event loop. */
    async computesInMicrotasks(began: number, context: TaskContext) {
      counters.add(began);
      for (;;) {
        context.checkpoint();
        await null;
      }
    },
    blocks({ ms, began }: { ms: number; began: number }) {
      counters.add(began);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    },
  };
});
