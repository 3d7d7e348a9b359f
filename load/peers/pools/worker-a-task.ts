import { Worker } from "node:worker_threads";
import type { Peer } from "../peer.ts";
import { settled } from "./settled.ts";

const FILE = new URL("../threads/worker-a-task.mjs", import.meta.url);
// Each has 9 MB.
const MOST_TASKS = 50;

export const workerATask: Peer = {
  title: "a `Worker` per task, `terminate()`",
  sharing: "none",
  mostTasks: MOST_TASKS,
  async open(_count, notes) {
    return {
      run(job) {
        const worker = new Worker(FILE, { workerData: { job, notes } });
        const ended = new Promise<unknown>((resolve) => {
          let value: unknown;
          worker.once("message", (message) => {
            value = message;
          });
          worker.once("exit", () => resolve(value));
        });
        return { settled: settled(job, ended), cancel: () => void worker.terminate() };
      },
      async [Symbol.asyncDispose]() {},
    };
  },
};
