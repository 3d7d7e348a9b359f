import { transferableAbortController } from "node:util";
import { Worker } from "node:worker_threads";
import type { Peer } from "../peer.ts";
import { settled } from "./settled.ts";

const FILE = new URL("../threads/transferable-signal.mjs", import.meta.url);

interface Answer {
  readonly id: number;
  readonly value?: unknown;
}

/** Workers that are kept, and for each task a signal that goes to its worker. */
export const transferableSignal: Peer = {
  title: "kept `Worker`, transferred signal",
  sharing: "all",
  async open(count, notes) {
    const resolvers = new Map<number, (value: unknown) => void>();
    const workers = Array.from({ length: count }, () => new Worker(FILE, { workerData: notes }));
    for (const worker of workers) {
      worker.on("message", ({ id, value }: Answer) => {
        resolvers.get(id)?.(value);
        resolvers.delete(id);
      });
    }
    let lastId = 0;
    return {
      run(job) {
        const id = ++lastId;
        const abort = transferableAbortController();
        const ended = new Promise((resolve) => resolvers.set(id, resolve));
        workers[id % count]?.postMessage({ id, job, signal: abort.signal }, [abort.signal as never]);
        return { settled: settled(job, ended), cancel: () => abort.abort() };
      },
      async [Symbol.asyncDispose]() {
        await Promise.all(workers.map((worker) => worker.terminate()));
      },
    };
  },
};
