import { defineTasks, type TaskContext } from "../../../src/threads/worker/index.ts";
import { SharedCounters } from "../shared-counters.ts";
import type { Settings } from "./opened.ts";

export const tasks = defineTasks(({ counters: buffer }: Settings) => {
  const counters = new SharedCounters(buffer);
  return {
    sleeps({ began, ms }: { began: number; ms: number }, context: TaskContext) {
      counters.add(began);
      return context.sleep(ms);
    },
  };
});
