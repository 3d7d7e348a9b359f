import { fileURLToPath } from "node:url";
import { FixedThreadPool } from "poolifier";
import type { Data } from "./tasks.ts";

const pool = new FixedThreadPool<Data, void>(3, fileURLToPath(new URL("./tasks.ts", import.meta.url)));

export async function firstFailure(): Promise<string> {
  const stopped = new Int32Array(new SharedArrayBuffer(4));
  const run = (name: string, ms: number) => pool.execute({ ms, stopped }, name);
  const tasks = [run("waits", 2_000), run("computes", 2_000), run("fails", 500)];
  try {
    await Promise.all(tasks);
    return "none failed";
  } catch (error) {
    Atomics.store(stopped, 0, 1);
    await Promise.allSettled(tasks);
    return (error as Error).message;
  }
}
