import { setTimeout as sleep } from "node:timers/promises";
import { ThreadWorker } from "poolifier";
import { alive } from "../alive.ts";

export interface Data {
  readonly ms: number;
  readonly stopped: Int32Array;
}

function checkpoint(stopped: Int32Array): void {
  if (Atomics.load(stopped, 0) !== 0) throw new Error("stopped");
}

export default new ThreadWorker<Data>({
  fails: async (data) => {
    await sleep(data?.ms);
    throw new Error("boom");
  },
  waits: async (data) => {
    const { ms, stopped } = data as Data;
    for (let n = 0; n < ms; n += 5) {
      await sleep(5);
      checkpoint(stopped);
      alive("w");
    }
  },
  computes: (data) => {
    const { ms, stopped } = data as Data;
    for (const end = Date.now() + ms; Date.now() < end; ) {
      checkpoint(stopped);
      alive("c");
    }
  },
});
