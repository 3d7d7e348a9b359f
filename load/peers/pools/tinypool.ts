import { Tinypool } from "tinypool";
import type { Peer } from "../peer.ts";
import { settled } from "./settled.ts";

// As in Piscina, whose fork it is.
const TASKS_A_THREAD = 64;

export const tinypool: Peer = {
  title: "tinypool, `signal`",
  sharing: "uncancelable",
  async open(count, notes) {
    const pool = new Tinypool({
      filename: new URL("../threads/tinypool.mjs", import.meta.url).href,
      name: "run",
      minThreads: count,
      maxThreads: count,
      concurrentTasksPerWorker: TASKS_A_THREAD,
      workerData: notes,
    });
    pool.on("error", () => {});
    return {
      run(job, { cancelable = true } = {}) {
        const abort = cancelable ? new AbortController() : undefined;
        return {
          settled: settled(job, pool.run(job, { signal: abort?.signal ?? null })),
          cancel: () => abort?.abort(),
        };
      },
      [Symbol.asyncDispose]: () => pool.destroy(),
    };
  },
};
