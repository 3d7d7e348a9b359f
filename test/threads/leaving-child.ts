import { writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { exitDespiteThreads } from "../../src/threads/index.ts";

/** What the test gives this process, as JSON. */
export interface LeavingSetup {
  /** A thread of this process reads from it, in a native call, and says so on stdout. */
  readonly fifo: string;
  /** How often `exitDespiteThreads` is called. */
  readonly calls: number;
  readonly exitCode: number;
  readonly ends: "naturally" | "by process.exit";
  /** False: as on Windows and before Node 22.15. */
  readonly hasExecve: boolean;
}

// A process that leaves, as soon as it is told to, while one of its threads is in a native call.
const { fifo, calls, exitCode, ends, hasExecve } = JSON.parse(process.argv[2] ?? "{}") as LeavingSetup;
const shell = `require("node:child_process").execFileSync("sh", ["-c", 'exec 3<>"$0"; echo blocked; read line <&3', ${JSON.stringify(fifo)}], { stdio: ["ignore", "inherit", "inherit"] })`;
const worker = new Worker(`try { ${shell} } catch {}`, { eval: true });
worker.unref();
if (!hasExecve) Object.defineProperty(process, "execve", { value: undefined });
// In front of the library's own.
process.on("exit", () => void writeSync(1, "leaving\n"));
process.stdin.once("data", () => {
  const before = process.listenerCount("exit");
  for (let call = 0; call < calls; call++) exitDespiteThreads();
  writeSync(1, `${process.listenerCount("exit") - before} more\n`);
  if (ends === "by process.exit") process.exit(exitCode);
  process.exitCode = exitCode;
  process.stdin.destroy();
});
