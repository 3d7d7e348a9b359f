import { Tinypool } from "tinypool";

const pool = new Tinypool({ filename: new URL("./tasks.ts", import.meta.url).href, minThreads: 3, maxThreads: 3 });
pool.on("error", () => {});

export async function firstFailure(): Promise<string> {
  const abort = new AbortController();
  const run = (name: string, ms: number) => pool.run(ms, { name, signal: abort.signal });
  const tasks = [run("waits", 2_000), run("computes", 2_000), run("fails", 500)];
  try {
    await Promise.all(tasks);
    return "none failed";
  } catch (error) {
    abort.abort();
    await Promise.allSettled(tasks);
    return (error as Error).message;
  }
}
