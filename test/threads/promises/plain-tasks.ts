import { readFileSync } from "node:fs";
import { defineTasks, Failure, monotonicMs, type TaskContext } from "../../../src/threads/worker/index.ts";
import { SharedCounters } from "../shared-counters.ts";
import type { Settings } from "./opened.ts";

/** Counters: `began` counts the starts of a task, `gate` is what it waits at. */
interface Gated {
  readonly began: number;
  readonly gate: number;
}

/** `fifo`: what `calls` reads. */
export const tasks = defineTasks(({ counters: buffer, fifo = "" }: Settings & { fifo?: string }) => {
  const counters = new SharedCounters(buffer);
  return {
    nothing() {},
    reads: (counter: number) => counters.read(counter),
    exits: () => process.exit(0),
    async waits({ began, gate }: Gated, { signal }: TaskContext) {
      counters.add(began);
      await counters.reached(gate, 1, signal);
    },
    async fails({ began, gate }: Gated, { signal }: TaskContext) {
      counters.add(began);
      await counters.reached(gate, 1, signal);
      throw new Failure("declined", "declined", { keepsSiblings: true });
    },
    sleeps({ began, ms = 600_000 }: { began: number; ms?: number }, context: TaskContext) {
      counters.add(began);
      return context.sleep(ms);
    },
    /** Ends when the gate opens, whoever cancels it, and adds to `ended`. */
    async ignores({ began, gate, ended }: Gated & { readonly ended: number }) {
      counters.add(began);
      await counters.reached(gate);
      counters.add(ended);
    },
    /** Nothing else happens on its thread until the gate opens, or for so long. */
    holds({ began, gate }: Gated) {
      counters.add(began);
      counters.block(gate);
    },
    blocks({ ms, began }: { ms: number; began: number }) {
      counters.add(began);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    },
    /** Without a turn of the event loop, and then adds to `ended`. Gives how many had ended when it began. */
    computes({ ms, ended }: { ms: number; ended: number }, context: TaskContext) {
      const before = counters.read(ended);
      for (const end = monotonicMs() + ms; monotonicMs() < end; ) context.checkpoint();
      counters.add(ended);
      return before;
    },
    /** Gives a value that takes so long to copy, as a very large one does. */
    copiesFor: (ms: number) => ({
      get copied() {
        for (const end = monotonicMs() + ms; monotonicMs() < end; );
        return ms;
      },
    }),
    /** Awaits, but nothing that needs the event loop. */
    async computesInMicrotasks(began: number, context: TaskContext) {
      counters.add(began);
      for (;;) {
        context.checkpoint();
        await null;
      }
    },
    /** In a native call that nothing terminates: until somebody opens the other end. */
    calls({ began, after }: { began: number; after: number }) {
      counters.add(began);
      readFileSync(fifo);
      counters.add(after);
    },
  };
});
