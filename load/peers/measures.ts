import { availableParallelism } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { monotonicMs } from "../../src/threads/index.ts";
import { atATime } from "../at-a-time.ts";
import type { Figures } from "../lab/experiment.ts";
import { residentKiB } from "../lab/proc.ts";
import { quantile } from "../quantile.ts";
import { opened } from "./notes.ts";
import type { Kind, Peer, RunOptions } from "./pools.ts";

const THREADS = availableParallelism();
const WARM_UP_SECONDS = 0.3;
// It is in the midst of what it does.
const INTO_IT_MS = 2;
/** How long a task goes on that hears of no cancel. */
const GOES_ON_MS = 300;
const MOST_CANCELS = 200;

interface Load extends RunOptions {
  readonly title: string;
  readonly kind: Kind;
  readonly ms: number;
  readonly atATime: number;
  /** Where tasks that can be canceled have a thread each. */
  readonly threadsForOnesAlone?: number;
}

/** Tasks of which as many as can be are done. */
const LOADS: readonly Load[] = [
  { title: "empty tasks, 64 at a time", kind: "empty", ms: 0, atATime: 64 },
  // Threads that have one task each wait with it, so there are more of them.
  { title: "tasks that wait 5 ms, 1000 at a time", kind: "wait", ms: 5, atATime: 1000, threadsForOnesAlone: 32 },
  { title: "tasks that compute 5 ms", kind: "compute", ms: 5, atATime: 4, alone: true },
];

/** The kinds of tasks that are canceled while they run. */
const CANCELED = { tick: "waits", computeAwaiting: "computes, awaits each ms", compute: "computes, never awaits" } as const;

const MEASURES = LOADS.length + Object.keys(CANCELED).length + 2;

/** All but the memory. `roundSeconds`: of all measures together, without the start of the threads. */
export async function measure(peer: Peer, roundSeconds: number): Promise<Figures> {
  const seconds = roundSeconds / MEASURES;
  let figures: Figures = {};
  for (const load of LOADS) figures = { ...figures, [load.title]: [await throughput(peer, load, seconds), "per second"] };
  for (const kind of Object.keys(CANCELED) as (keyof typeof CANCELED)[]) figures = { ...figures, ...(await cancels(peer, kind, seconds)) };
  figures = { ...figures, "CPU of a canceled task and one behind it": [await cancelCpu(peer, seconds), "us"] };
  return peer.sharing === "none" ? figures : { ...figures, ...(await innocents(peer, seconds)) };
}

/** Tasks per second. Throws when one of them was lost. */
async function throughput(peer: Peer, load: Load, seconds: number): Promise<number> {
  await using at = await opened(peer, peer.sharing === "all" ? THREADS : (load.threadsForOnesAlone ?? THREADS));
  let lost = 0;
  const one = async (): Promise<void> => {
    if (!(await at.pool.run({ kind: load.kind, ms: load.ms, cell: 0 }, load).settled)) lost++;
  };
  const tasks = Math.min(load.atATime, peer.mostTasks ?? load.atATime);
  await atATime(tasks, WARM_UP_SECONDS, one);
  const { perSecond } = await atATime(tasks, seconds, one);
  if (lost > 0) throw new Error(`${peer.title}: ${lost} tasks were lost that nobody canceled`);
  return perSecond;
}

/** Cancels tasks one after the other on one thread, each with the next task behind it. */
async function cancels(peer: Peer, kind: keyof typeof CANCELED, seconds: number): Promise<Figures> {
  await using at = await opened(peer, 1);
  const { pool, notes } = at;
  const options = { alone: kind !== "tick" };
  /** From the cancel until whoever waited heard that the task is over; and it does nothing any more; and the next began in its place. */
  const [settledMs, stoppedMs, nextMs]: [number[], number[], number[]] = [[], [], []];
  let ranOn = 0;
  for (const end = performance.now() + seconds * 1000; performance.now() < end && settledMs.length < MOST_CANCELS; ) {
    const [cell, nextCell] = [notes.take(), notes.take()];
    const canceled = pool.run({ kind, ms: GOES_ON_MS, cell }, options);
    await notes.started(cell, canceled);
    await pause(INTO_IT_MS);
    const canceledAt = monotonicMs();
    canceled.cancel();
    const next = pool.run({ kind: "empty", ms: 0, cell: nextCell }, options);
    await canceled.settled;
    const settledAt = monotonicMs();
    if (!(await next.settled)) throw new Error(`${peer.title}: the task behind a canceled one was lost`);
    const actedAt = await notes.lastAct(cell);
    if (actedAt - notes.startedAt(cell) >= GOES_ON_MS) ranOn++;
    settledMs.push(settledAt - canceledAt);
    stoppedMs.push(Math.max(settledAt, actedAt) - canceledAt);
    nextMs.push(notes.startedAt(nextCell) - canceledAt);
  }
  const threadsLost = await at.threadsLost();
  const share = (count: number) => (count * 1000) / settledMs.length;
  const what = CANCELED[kind];
  return {
    [`${what}: cancel to settled`]: [quantile(settledMs, 0.5), "ms"],
    [`${what}: cancel to stop`]: [quantile(stoppedMs, 0.5), "ms"],
    [`${what}: cancel to stop, nine in ten`]: [quantile(stoppedMs, 0.9), "ms"],
    [`${what}: cancel to the next task's start`]: [quantile(nextMs, 0.5), "ms"],
    [`${what}: cancel to the next task's start, nine in ten`]: [quantile(nextMs, 0.9), "ms"],
    [`${what}: ran on to its end`]: [share(ranOn), "per 1000 cancels"],
    [`${what}: threads lost`]: [share(threadsLost), "per 1000 cancels"],
  };
}

/** Microseconds of CPU, on all threads, of a task that is canceled while it waits, and of an empty one behind it, for which a thread has to be there. */
async function cancelCpu(peer: Peer, seconds: number): Promise<number> {
  await using at = await opened(peer, 1);
  let canceled = 0;
  const before = process.cpuUsage();
  for (const end = performance.now() + seconds * 1000; performance.now() < end; canceled++) {
    const run = at.pool.run({ kind: "wait", ms: GOES_ON_MS, cell: 0 });
    await pause(INTO_IT_MS);
    run.cancel();
    await run.settled;
    await at.pool.run({ kind: "empty", ms: 0, cell: 0 }).settled;
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / canceled;
}

const LANES = 4;
const INNOCENT_MS = 5;
const INNOCENTS_EACH_SIDE = 4;
const BESIDE: readonly Kind[] = ["wait", "computeAwaiting"];
export const BESIDE_INNOCENTS = "cancels beside innocents";
export const INNOCENTS_LOST = "innocents lost";
export const INNOCENTS_THREADS = "threads lost beside innocents";

/**
 * Cancels tasks that wait, and tasks that compute, on a thread that they share with tasks which nobody cancels. All of them are well-behaved:
 * none holds the thread for longer than a millisecond.
 */
export async function innocents(peer: Peer, seconds: number): Promise<Figures> {
  await using at = await opened(peer, 1);
  const { pool, notes } = at;
  let [cancels, lost] = [0, 0];
  const beside = (): Promise<boolean>[] =>
    Array.from({ length: INNOCENTS_EACH_SIDE }, () => pool.run({ kind: "wait", ms: INNOCENT_MS, cell: 0 }, { cancelable: false }).settled);
  await atATime(LANES, seconds, async () => {
    const cell = notes.take();
    const before = beside();
    const canceled = pool.run({ kind: BESIDE[cancels++ % BESIDE.length] as Kind, ms: GOES_ON_MS, cell });
    const after = beside();
    await notes.started(cell, canceled);
    canceled.cancel();
    await canceled.settled;
    for (const ended of await Promise.all([...before, ...after])) if (!ended) lost++;
  });
  return {
    [BESIDE_INNOCENTS]: [cancels, ""],
    [INNOCENTS_LOST]: [(lost * 1000) / cancels, "per 1000 cancels"],
    [INNOCENTS_THREADS]: [await at.threadsLost(), ""],
  };
}

const WAITING_TASKS = 10_000;
const WAIT_MS = 600_000;
const WARM_UP_TASKS = 64;
const REST_MS = 500;

/** Resident memory of a task that waits, among ten thousand such. Leaves them behind: to be called last, in a process that then exits. */
export async function memory(peer: Peer): Promise<Figures> {
  const { pool, notes } = await opened(peer, THREADS);
  const tasks = Math.min(WAITING_TASKS, peer.mostTasks ?? WAITING_TASKS);
  // Heaps grow with the first load, whatever it is.
  await atATime(Math.min(WARM_UP_TASKS, tasks), WARM_UP_SECONDS, async () => {
    await pool.run({ kind: "wait", ms: 1, cell: 0 }).settled;
  });
  await pause(REST_MS);
  const before = residentKiB(process.pid);
  const cells = Array.from({ length: tasks }, () => notes.take());
  for (const cell of cells) pool.run({ kind: "wait", ms: WAIT_MS, cell });
  const begun = (): number => cells.filter((cell) => notes.startedAt(cell) !== 0).length;
  let running = -1;
  while (running !== begun()) {
    running = begun();
    await pause(REST_MS);
  }
  return {
    "memory of a waiting task": [(residentKiB(process.pid) - before) / tasks, "KiB"],
    "of these tasks run, the others queue": [running, `of ${tasks}`],
  };
}
