import { execFileSync } from "node:child_process";
import { parentPort } from "node:worker_threads";
import { Failure } from "../../src/threads/worker/index.ts";
import { tasksOf } from "../../workers/steps/tasks-of.ts";

// Longer than any test waits: whoever waits for the end of the call fails.
const CALL_SECONDS = "300";

/** What a step may throw that is the threads' kind of failure, but not a step's. */
export const FAILURES: Readonly<Record<string, unknown>> = {
  "fails-with-an-object": { kind: "internal" },
  "fails-with-null": null,
  "fails-with-an-unknown-kind": ["no_such_kind", "none"],
  "fails-with-an-unknown-effect": ["internal", "perhaps"],
  "fails-with-an-answer-that-is-no-text": ["internal", "none", 17],
  "fails-with-a-number-of-unavailable": ["payment_unavailable", "none", undefined, 17],
  "fails-with-a-time-that-is-none": ["payment_unavailable", "none", undefined, { retryAfterMs: "soon" }],
};

/** The payment of an order does what the order's id says. */
export const tasks = tasksOf(() => ({
  payment: {
    async run({ orderId }) {
      if (orderId === "native-call") execFileSync("sleep", [CALL_SECONDS]);
      if (orderId in FAILURES) throw new Failure(FAILURES[orderId]);
      if (orderId === "posts")
        for (const message of [null, undefined, "ready", { type: "ready", threadId: 1, row: 0 }, []]) parentPort?.postMessage(message);
    },
    async compensate() {},
  },
  vendor: { async run() {}, async compensate() {} },
  courier: { async run() {}, async compensate() {} },
}));
