import { Worker } from "node:worker_threads";

const FILE = new URL("./tasks.ts", import.meta.url);

function run(name: string, ms: number) {
  const worker = new Worker(FILE, { workerData: { name, ms } });
  const ended = new Promise<void>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("terminated")));
  });
  return { worker, ended };
}

export async function firstFailure(): Promise<string> {
  const tasks = [run("waits", 2_000), run("computes", 2_000), run("fails", 500)];
  const ends = tasks.map(({ ended }) => ended);
  try {
    await Promise.all(ends);
    return "none failed";
  } catch (error) {
    for (const { worker } of tasks) void worker.terminate();
    await Promise.allSettled(ends);
    return (error as Error).message;
  }
}
