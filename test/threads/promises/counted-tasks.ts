import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { defineTasks, Failure, type TaskContext } from "../../../src/threads/worker/index.ts";
import { SharedCounters } from "../shared-counters.ts";
import type { Settings } from "./opened.ts";

interface Gated {
  readonly began: number;
  readonly gate: number;
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

export const tasks = defineTasks(({ counters: buffer }: Settings) => {
  const counters = new SharedCounters(buffer);
  const contexts: WeakRef<TaskContext>[] = [];
  return {
    async waits({ began, gate }: Gated, { signal }: TaskContext) {
      counters.add(began);
      await counters.reached(gate, 1, signal);
    },
    async fails({ began, gate }: Gated, { signal }: TaskContext) {
      counters.add(began);
      await counters.reached(gate, 1, signal);
      throw new Failure("declined", "declined", { keepsSiblings: true });
    },
    /** Ends when the gate opens, whoever cancels it. */
    async ignores({ began, gate, ended }: Gated & { readonly ended: number }) {
      counters.add(began);
      await counters.reached(gate);
      counters.add(ended);
    },
    /** Nothing else happens on its thread until the gate opens. */
    holds({ began, gate }: Gated) {
      counters.add(began);
      counters.block(gate);
    },
    nothing() {},
    exits: () => process.exit(0),
    /** Waits, and its context is not forgotten by itself. */
    async isRemembered({ began, gate }: Gated, context: TaskContext) {
      contexts.push(new WeakRef(context));
      counters.add(began);
      await counters.reached(gate);
    },
    /** How many of the contexts that are remembered are still there. */
    contextsLeft() {
      collect();
      return contexts.filter((context) => context.deref() !== undefined).length;
    },
  };
});
