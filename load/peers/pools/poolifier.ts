import { fileURLToPath } from "node:url";
import { FixedThreadPool } from "poolifier";
import type { Job, Peer } from "../peer.ts";
import { settled } from "./settled.ts";

export const poolifier: Peer = {
  title: "poolifier, `abortSignal`",
  sharing: "all",
  async open(count, notes) {
    const pool = new FixedThreadPool<Job, string>(count, fileURLToPath(new URL("../threads/poolifier.mjs", import.meta.url)), {
      workerOptions: { workerData: notes },
    });
    return {
      run(job) {
        const abort = new AbortController();
        return { settled: settled(job, pool.execute(job, undefined, abort.signal)), cancel: () => abort.abort() };
      },
      [Symbol.asyncDispose]: () => pool.destroy(),
    };
  },
};
