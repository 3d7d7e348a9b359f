import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";

const MODULE = fileURLToPath(new URL("../../load/cluster/engine-process.ts", import.meta.url));

test.skipIf(process.platform === "win32")("an engine does not outlive the process that started it, however that ends", async () => {
  const directory = mkdtempSync(join(tmpdir(), "engine-process-"));
  const script = `
    const { EngineProcess } = await import(${JSON.stringify(MODULE)});
    const engine = await EngineProcess.prepare({ directory: ${JSON.stringify(directory)} });
    engine.spawn();
    process.stdout.write(String(engine.pid), () => process.kill(process.pid, "SIGKILL"));`;
  try {
    const pid = await new Promise<number>((resolve) => {
      execFile(process.execPath, ["--input-type=module", "-e", script], (_killed, printed) => resolve(Number(printed)));
    });
    expect(pid).toBeGreaterThan(0);
    await eventually("the engine to be gone", () => !lives(pid));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // Where nobody collects orphans, in a bare container, what has ended keeps its pid.
    return process.platform !== "linux" || !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
