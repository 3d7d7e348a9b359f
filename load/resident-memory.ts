import { readFileSync } from "node:fs";

/** The resident memory of a process in KiB, all threads included, as the kernel counts it. */
export function residentKiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kib === undefined) throw new Error(`process ${pid} has no resident memory: has it ended?`);
  return Number(kib);
}
