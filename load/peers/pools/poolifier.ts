import { fileURLToPath } from "node:url";
import { FixedThreadPool } from "poolifier";
import { atMost } from "../../../src/threads/index.ts";
import type { Job, Peer } from "../peer.ts";
import { settled } from "./settled.ts";

// Its threads have ended by then, but the promise sometimes never resolves.
const DESTROY_MS = 1_000;

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
      async [Symbol.asyncDispose]() {
        await atMost(pool.destroy(), DESTROY_MS);
      },
    };
  },
};
