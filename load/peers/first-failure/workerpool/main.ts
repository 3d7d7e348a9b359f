import { fileURLToPath } from "node:url";
import workerpool from "workerpool";

const file = fileURLToPath(new URL("./tasks.ts", import.meta.url));
const pool = workerpool.pool(file, { workerType: "thread", minWorkers: 3, maxWorkers: 3 });

export async function firstFailure(): Promise<string> {
  const tasks = [pool.exec("waits", [2_000]), pool.exec("computes", [2_000]), pool.exec("fails", [500])];
  try {
    await Promise.all(tasks);
    return "none failed";
  } catch (error) {
    for (const task of tasks) task.cancel();
    await Promise.allSettled(tasks);
    return (error as Error).message;
  }
}
