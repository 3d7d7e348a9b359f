import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { openThreads } from "../../src/threads/index.ts";

const BROKEN = new URL("./broken-worker-file.ts", import.meta.url);

test("a file of tasks that cannot be loaded fails the start, says why, and leaves no thread", async () => {
  const before = process.platform === "linux" ? readdirSync("/proc/self/task").length : 0;
  const faults: string[] = [];
  const starting = openThreads({
    file: BROKEN,
    shared: 2,
    exclusive: 1,
    exclusiveOnDemand: false,
    onFault: (message, error) => faults.push(`${message}: ${error}`),
  });
  await expect(starting).rejects.toThrow(/do not start: Error: this worker file cannot be loaded/);
  expect(faults.length).toBeGreaterThan(4);
  expect(new Set(faults)).toEqual(new Set(["a thread crashed while it started: Error: this worker file cannot be loaded"]));
  const after = process.platform === "linux" ? readdirSync("/proc/self/task").length : 0;
  expect(after).toBeLessThanOrEqual(before);
});
