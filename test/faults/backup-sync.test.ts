import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

test("a backup is durable before it has its name, and its name is durable before anybody is told", () => {
  const directory = mkdtempSync(join(tmpdir(), "synced-"));
  try {
    const [record, copy] = [join(directory, "record"), join(directory, "copy.db")];
    const [recorder, program] = ["sync-recorder.ts", "backup-child.ts"].map((name) => join(import.meta.dirname, name)) as [string, string];
    const child = spawnSync(process.execPath, ["--import", recorder, program, join(directory, "orders.db"), copy], {
      encoding: "utf8",
      env: { PATH: process.env.PATH, SYNC_RECORD: record },
    });
    expect([child.status, child.stderr]).toEqual([0, ""]);
    const lines: string[][] = readFileSync(record, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const renamed = lines.findIndex(([what, , to]) => what === "rename" && to === copy);
    const [, partial] = lines[renamed] as string[];
    const [lastToIt] = lines.slice(0, renamed).findLast(([, path]) => path === partial) ?? [];
    expect(lastToIt).toBe("sync");
    const done = lines.findIndex(([what]) => what === "done");
    expect(lines.slice(renamed + 1, done)).toContainEqual(["sync", directory]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
