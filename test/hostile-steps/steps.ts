import { execFileSync } from "node:child_process";
import { parentPort } from "node:worker_threads";
import { tasksOf } from "../../workers/steps/tasks-of.ts";

// Longer than any test waits: whoever waits for the end of the call fails.
const CALL_SECONDS = "300";

/** The payment of an order does what the order's id says. */
export const tasks = tasksOf(() => ({
  payment: {
    async run({ orderId }) {
      if (orderId === "native-call") execFileSync("sleep", [CALL_SECONDS]);
      if (orderId === "posts")
        for (const message of [null, undefined, "ready", { type: "ready", threadId: 1, row: 0 }, []]) parentPort?.postMessage(message);
    },
    async compensate() {},
  },
  vendor: { async run() {}, async compensate() {} },
  courier: { async run() {}, async compensate() {} },
}));
