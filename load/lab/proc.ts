import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

const TICKS_A_SECOND = process.platform === "linux" ? Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" })) : 100;

/** Of a `stat` file of a process or a thread. */
interface Times {
  readonly parent: number;
  readonly own: number;
  readonly ended: number;
}

function timesOf(file: string): Times {
  const text = readFileSync(file, "utf8");
  // The second field is the program's name in parentheses, which may hold anything.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const seconds = (index: number) => (Number(fields[index]) + Number(fields[index + 1])) / TICKS_A_SECOND;
  return { parent: Number(fields[1]), own: seconds(11), ended: seconds(13) };
}

/** Seconds of CPU that a process has used, all its threads included, in steps of 10 ms. Linux only, as all of this file. */
export function cpuSeconds(pid: number): number {
  return timesOf(`/proc/${pid}/stat`).own;
}

/** As `cpuSeconds`, of a process with its children, those that have ended included. */
export function cpuSecondsOfAll(pid: number): number {
  const { own, ended } = timesOf(`/proc/${pid}/stat`);
  const others = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return own + ended + others.reduce((sum, name) => sum + (childTime(name, pid) ?? 0), 0);
}

function childTime(name: string, pid: number): number | undefined {
  try {
    const { parent, own } = timesOf(`/proc/${name}/stat`);
    return parent === pid ? own : undefined;
  } catch {
    // It ended meanwhile.
    return undefined;
  }
}

export interface ThreadTimes {
  readonly main: number;
  /** Of Node's worker threads, the oldest first. */
  readonly workers: readonly number[];
  /** V8's helpers, for compilation and garbage, and libuv's pool. */
  readonly helpers: number;
}

/** Seconds of CPU by thread of a process of Node. */
export function threadSeconds(pid: number): ThreadTimes {
  const workers: number[] = [];
  let [main, helpers] = [0, 0];
  for (const id of readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .sort((a, b) => a - b)) {
    try {
      const seconds = timesOf(`/proc/${pid}/task/${id}/stat`).own;
      if (id === pid) main = seconds;
      else if (/^(node-)?WorkerThread/.test(readFileSync(`/proc/${pid}/task/${id}/comm`, "utf8"))) workers.push(seconds);
      else helpers += seconds;
    } catch {
      // It ended meanwhile.
    }
  }
  return { main, workers, helpers };
}

/** The resident memory of a process in KiB, as the kernel counts it. */
export function residentKiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kib === undefined) throw new Error(`process ${pid} has no resident memory: has it ended?`);
  return Number(kib);
}

/** Why something cannot be measured where a process may have fewer open files; undefined where it can. */
export function tooFewFiles(needed: number): string | undefined {
  const limit = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  if (limit === undefined || limit === "unlimited" || Number(limit) >= needed) return undefined;
  return `a process may open ${limit} files here; this needs ${needed} (ulimit -n ${needed})`;
}
