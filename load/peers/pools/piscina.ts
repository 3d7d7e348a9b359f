import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import type { Peer } from "../peer.ts";
import { settled } from "./settled.ts";

// For tasks without a signal; one with a signal has its thread for itself, whatever this says.
const TASKS_A_THREAD = 64;

export const piscina: Peer = {
  title: "Piscina, `signal`",
  sharing: "uncancelable",
  async open(count, notes) {
    const pool = new Piscina({
      filename: fileURLToPath(new URL("../threads/piscina.mjs", import.meta.url)),
      name: "run",
      minThreads: count,
      maxThreads: count,
      concurrentTasksPerWorker: TASKS_A_THREAD,
      workerData: notes,
    });
    // A result that meets its own abort is an "unexpected message" to Piscina, and an error nobody listens to ends the process.
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
