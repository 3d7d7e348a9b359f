import { setTimeout as pause } from "node:timers/promises";
import { atATime } from "../at-a-time.ts";
import { residentKiB } from "../resident-memory.ts";
import { opened } from "./opened.ts";
import type { Peer } from "./peer.ts";

const TASKS = 10_000;
const WAIT_MS = 600_000;
const WARM_UP = { tasks: 64, seconds: 0.3 };
const REST_MS = 500;

export interface Memory {
  readonly kibATask: number;
  /** How many of them had begun; the others wait in a queue. */
  readonly running: number;
  readonly tasks: number;
}

/** Resident memory of a task that waits, among ten thousand such. Leaves them behind: to be called last, in a process that then exits. */
export async function memory(peer: Peer, threads: number): Promise<Memory> {
  const { pool, notes } = await opened(peer, threads);
  const tasks = Math.min(TASKS, peer.mostTasks ?? TASKS);
  // Heaps grow with the first load, whatever it is.
  await atATime(Math.min(WARM_UP.tasks, tasks), WARM_UP.seconds, async () => {
    await pool.run({ kind: "wait", ms: 1, cell: 0 }).settled;
  });
  await pause(REST_MS);
  const before = residentKiB(process.pid);
  const cells = Array.from({ length: tasks }, () => notes.take());
  const runs = cells.map((cell) => pool.run({ kind: "wait", ms: WAIT_MS, cell }));
  const begun = (): number => cells.filter((cell) => notes.startedAt(cell) !== 0).length;
  let running = -1;
  while (running !== begun()) {
    running = begun();
    await pause(REST_MS);
  }
  return { kibATask: (residentKiB(process.pid) - before) / runs.length, running, tasks };
}
