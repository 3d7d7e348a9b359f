import { setTimeout as pause } from "node:timers/promises";
import type { FuzzThreads } from "./group-run.ts";
import { judge } from "./judge.ts";
import { BEGAN } from "./notes.ts";
import type { RunOptions } from "./run-options.ts";
import type { Ran, Witness } from "./witness.ts";

const SHARED_TASKS = 5;
const START_MS = 60_000;

/**
 * After whatever has happened the library serves: tasks get their threads, are counted exactly while they run, and hear their cancel. Where a
 * thread dies meanwhile, of something that a hostile task has left on it, the threads are probed again.
 */
export async function probe(threads: FuzzThreads, witness: Witness, options: RunOptions): Promise<void> {
  const end = performance.now() + START_MS;
  while (!(await isServed(threads, witness, options, end))) {
    if (performance.now() >= end) witness.complain(`a thread died in each probe of ${START_MS} ms`);
    witness.check();
  }
}

async function isServed(threads: FuzzThreads, witness: Witness, options: RunOptions, endMs: number): Promise<boolean> {
  const { exclusive, shared, maxTasksPerThread } = options;
  const group = threads.group();
  const causes = new Set(["superseded"]);
  let isLost = false;
  const run = (on: "shared" | "exclusive"): Ran[] => {
    const n = witness.next();
    if (n === undefined) return [];
    const plan = { kind: "longSleep" as const, ms: 0, options: { on }, unsendable: false };
    const task = group.run(plan.kind, { n, ms: 0 }, plan.options);
    const ran: Ran = { n, group: "the probe", plan, task, ended: undefined, atClose: false };
    witness.ran.push(ran);
    ran.task.whenEnded((ended) => {
      // `judgeAfterwards` sees to it that its thread was replaced.
      if (ended.outcome.status === "lost") {
        isLost = true;
        causes.add("sibling_failed");
      }
      judge(witness, ran, ended, causes);
    });
    return [ran];
  };
  const fits = Math.min(SHARED_TASKS, shared * maxTasksPerThread);
  const all = [...Array.from({ length: fits }, () => run("shared")), ...Array.from({ length: exclusive }, () => run("exclusive"))].flat();
  const isThere = ({ n }: Ran) => witness.notes.get(n, BEGAN) > 0;
  while (!isLost && !all.every(isThere) && performance.now() < endMs) await pause(5);
  if (!isLost) complainOf(threads, witness, all, isThere);
  group.cancel("superseded");
  await group.join();
  return !isLost;
}

function complainOf(threads: FuzzThreads, witness: Witness, all: readonly Ran[], isThere: (ran: Ran) => boolean): void {
  for (const ran of all) {
    if (!isThere(ran)) witness.complain(`it did not begin within ${START_MS} ms on threads that have nothing else to do`, ran);
  }
  const { running, started, finished } = threads.totals();
  if (running !== all.length || started !== finished + running) {
    witness.complain(`${all.length} tasks run, and the totals say ${JSON.stringify({ running, started, finished })}`);
  }
}
