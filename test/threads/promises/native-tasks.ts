import { readFileSync } from "node:fs";
import { defineTasks, type TaskContext } from "../../../src/threads/worker/index.ts";
import { SharedCounters } from "../shared-counters.ts";
import type { Settings } from "./opened.ts";

export const tasks = defineTasks(({ counters: buffer, fifo }: Settings & { fifo: string }) => {
  const counters = new SharedCounters(buffer);
  return {
    reads: (counter: number) => counters.read(counter),
    async waits({ began, gate }: { began: number; gate: number }, { signal }: TaskContext) {
      counters.add(began);
      await counters.reached(gate, 1, signal);
    },
    /** In a native call that nothing terminates: until somebody opens the other end. */
    calls({ began, after }: { began: number; after: number }) {
      counters.add(began);
      readFileSync(fifo);
      counters.add(after);
    },
  };
});
