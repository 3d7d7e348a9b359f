import { fileURLToPath } from "node:url";
import workerpool from "workerpool";
import type { Peer } from "../peer.ts";
import { settled } from "./settled.ts";

// How long it waits for a thread's listeners before it ends the thread. Its default, a second, would let a loop run on for so long; less than
// this ends threads that would have answered.
const TERMINATE_TIMEOUT_MS = 50;

export const workerPool: Peer = {
  title: "workerpool, abort listeners",
  sharing: "none",
  async open(count, notes) {
    const pool = workerpool.pool(fileURLToPath(new URL("../threads/workerpool.mjs", import.meta.url)), {
      workerType: "thread",
      minWorkers: count,
      maxWorkers: count,
      workerTerminateTimeout: TERMINATE_TIMEOUT_MS,
      workerThreadOpts: { workerData: notes },
    });
    return {
      run(job) {
        const promise = pool.exec("run", [job]);
        return { settled: settled(job, promise as unknown as PromiseLike<unknown>), cancel: () => void promise.cancel() };
      },
      async [Symbol.asyncDispose]() {
        await pool.terminate(true);
      },
    };
  },
};
