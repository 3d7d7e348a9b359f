import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ThreadRuntime } from "../../src/threads/thread-runtime.ts";

const BROKEN = fileURLToPath(new URL("./broken-worker-file.ts", import.meta.url));

test("a worker file that cannot be loaded fails the start, says why, and leaves no thread", async () => {
  const before = process.platform === "linux" ? readdirSync("/proc/self/task").length : 0;
  let failed = 0;
  const starting = ThreadRuntime.start({
    workerFile: BROKEN,
    threads: 2,
    cpuThreads: 1,
    cancelGraceMs: 250,
    longestStepMs: 10_000,
    maxGroups: 10,
    onReplaced: () => void failed++,
  });
  await expect(starting).rejects.toThrow(/do not start: Error: this worker file cannot be loaded/);
  expect(failed).toBeGreaterThan(4);
  const after = process.platform === "linux" ? readdirSync("/proc/self/task").length : 0;
  expect(after).toBeLessThanOrEqual(before);
});
