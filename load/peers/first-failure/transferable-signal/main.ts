import { transferableAbortController } from "node:util";
import { Worker } from "node:worker_threads";
import type { Request } from "./tasks.ts";

const workers = Array.from({ length: 3 }, () => new Worker(new URL("./tasks.ts", import.meta.url)));
const pending = new Map<number, PromiseWithResolvers<void>>();
for (const worker of workers) {
  worker.on("message", ({ id, error }: { readonly id: number; readonly error?: Error }) => {
    if (error === undefined) pending.get(id)?.resolve();
    else pending.get(id)?.reject(error);
    pending.delete(id);
  });
}
let lastId = 0;

function run(name: Request["name"], ms: number) {
  const id = ++lastId;
  // A signal can be transferred once, so each task needs one of its own.
  const abort = transferableAbortController();
  const ended = Promise.withResolvers<void>();
  pending.set(id, ended);
  workers[id % workers.length]?.postMessage({ id, name, ms, signal: abort.signal }, [abort.signal as never]);
  return { abort, ended: ended.promise };
}

export async function firstFailure(): Promise<string> {
  const tasks = [run("waits", 2_000), run("computes", 2_000), run("fails", 500)];
  const ends = tasks.map(({ ended }) => ended);
  try {
    await Promise.all(ends);
    return "none failed";
  } catch (error) {
    for (const { abort } of tasks) abort.abort();
    await Promise.allSettled(ends);
    return (error as Error).message;
  }
}
