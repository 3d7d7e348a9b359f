import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

const TICKS_A_SECOND = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** Seconds of CPU that a process has used, all its threads included, in steps of some milliseconds. Linux only. */
export function cpuSeconds(pid: number): number {
  const { own } = timesOf(pid);
  return own;
}

/** As `cpuSeconds`, of a process with its children, those that have ended included. */
export function cpuSecondsOfAll(pid: number): number {
  let sum = timesOf(pid).own + timesOf(pid).ended;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const { parent, own } = timesOf(Number(name));
      if (parent === pid) sum += own;
    } catch {
      // It ended meanwhile.
    }
  }
  return sum;
}

function timesOf(pid: number): { parent: number; own: number; ended: number } {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field is the program's name in parentheses, which may hold anything.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const seconds = (index: number) => (Number(fields[index]) + Number(fields[index + 1])) / TICKS_A_SECOND;
  return { parent: Number(fields[1]), own: seconds(11), ended: seconds(13) };
}
