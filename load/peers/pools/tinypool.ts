import { Tinypool } from "tinypool";
import type { Peer } from "../peer.ts";
import { bySignal } from "./by-signal.ts";
import { TASKS_A_THREAD } from "./piscina.ts";

/** A fork of Piscina, with fewer options. */
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
    return bySignal(pool);
  },
};
