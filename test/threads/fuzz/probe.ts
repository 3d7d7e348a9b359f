import { setTimeout as pause } from "node:timers/promises";
import type { FuzzThreads } from "./group-run.ts";
import { judge } from "./judge.ts";
import { BEGAN } from "./notes.ts";
import type { RunOptions } from "./run-options.ts";
import type { Ran, Witness } from "./witness.ts";

const SHARED_TASKS = 5;
const START_MS = 60_000;

/** After whatever has happened the library serves: tasks get their threads, are counted exactly while they run, and hear their cancel. */
export async function probe(threads: FuzzThreads, witness: Witness, { exclusive, shared, maxTasksPerThread }: RunOptions): Promise<void> {
  const group = threads.group();
  const run = (on: "shared" | "exclusive"): Ran[] => {
    const n = witness.next();
    if (n === undefined) return [];
    const plan = { kind: "longSleep" as const, ms: 0, options: { on }, unsendable: false };
    const ran: Ran = {
      n,
      group: "the probe",
      plan,
      task: group.run(plan.kind, { n, ms: 0 }, plan.options),
      ended: undefined,
      atClose: false,
    };
    witness.ran.push(ran);
    ran.task.whenEnded((ended) => judge(witness, ran, ended, new Set(["superseded"])));
    return [ran];
  };
  const fits = Math.min(SHARED_TASKS, shared * maxTasksPerThread);
  const all = [...Array.from({ length: fits }, () => run("shared")), ...Array.from({ length: exclusive }, () => run("exclusive"))].flat();
  const end = performance.now() + START_MS;
  const isThere = ({ n }: Ran) => witness.notes.get(n, BEGAN) > 0;
  while (!all.every(isThere) && performance.now() < end) await pause(5);
  for (const ran of all)
    if (!isThere(ran)) witness.complain(`it did not begin within ${START_MS} ms on threads that have nothing else to do`, ran);
  const { running, started, finished } = threads.totals();
  if (running !== all.length || started !== finished + running) {
    witness.complain(`${all.length} tasks run, and the totals say ${JSON.stringify({ running, started, finished })}`);
  }
  group.cancel("superseded");
  await group.join();
}
