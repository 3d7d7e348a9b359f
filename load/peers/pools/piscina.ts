import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import type { Peer } from "../peer.ts";
import { bySignal } from "./by-signal.ts";

// For tasks without a signal; one with a signal has its thread for itself, whatever this says.
export const TASKS_A_THREAD = 64;

export const piscina: Peer = {
  title: "Piscina, `signal`",
  sharing: "uncancelable",
  async open(count, notes) {
    const pool = new Piscina<unknown, unknown>({
      filename: fileURLToPath(new URL("../threads/piscina.mjs", import.meta.url)),
      name: "run",
      minThreads: count,
      maxThreads: count,
      concurrentTasksPerWorker: TASKS_A_THREAD,
      workerData: notes,
    });
    return bySignal(pool);
  },
};
