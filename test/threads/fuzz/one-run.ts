import { setTimeout as pause } from "node:timers/promises";
import { openThreads, Refused } from "../../../src/threads/index.ts";
import type { DefinedTasks, TaskTable } from "../../../src/threads/worker/index.ts";
import { Random } from "../../fuzz/random.ts";
import { eventually } from "../../support/eventually.ts";
import { groupPlan, type RunOptions } from "./group-plan.ts";
import { CAUSES, type Cause, type FuzzThreads, GroupRun } from "./group-run.ts";
import { judge, judgeAfterwards, restless } from "./judge.ts";
import { BEGAN } from "./notes.ts";
import { FuzzFailure, type Ran, type Tally, Witness } from "./witness.ts";

const MOST_TASKS = 30_000;
// Beyond what the library promises, for a machine that is slow: the process itself may not get a processor for seconds.
const ALLOWANCE_MS = 20_000;
const CLOSE_MS = 1_000;
const CLOSE_ALLOWANCE_MS = 5_000;

/** One run of the library: opens it, lets groups run, kills threads, closes it, and compares what all of them tell. */
export async function oneRun(seed: number, options: RunOptions, tally: Tally): Promise<void> {
  const witness = new Witness(tally, MOST_TASKS);
  const random = new Random(seed, -2);
  const threads: FuzzThreads = await openThreads<DefinedTasks<TaskTable>, Cause>({
    ...options,
    file: new URL("./tasks.ts", import.meta.url),
    settings: { notes: witness.notes.buffer },
    causes: CAUSES,
    onReplaced: (...replaced) => witness.onReplaced(...replaced),
    onFault: (message) => tally.add("faults", message),
    onMessage: () => tally.add("faults", "a message of a user"),
  });
  try {
    const killing = new AbortController();
    const killer = killThreads(threads, witness, options.killEveryMs, random, killing.signal);
    const groups = runGroups(threads, witness, seed, options);
    if (options.closesEarly) await Promise.race([groups, pause(random.below(2_000))]);
    else await groups;
    killing.abort();
    await killer;
    if (!options.closesEarly) await checkQuiet(threads, witness, options);
    await checkedClose(threads, witness, options.graceMs);
    await groups;
  } finally {
    witness.closing = true;
    await threads.close();
  }
  checkCounters(threads, witness);
  checkReplaced(threads, witness);
  witness.checkDeaths(options.maxGivenUp);
  witness.check();
  // Those in a native call: until then they may do what they should not.
  await eventually(
    "every thread has ended",
    () => threads.alive,
    (alive) => alive === 0,
    ALLOWANCE_MS,
  );
  for (const ran of witness.ran) judgeAfterwards(witness, ran);
  checkStarts(threads, witness);
  witness.check();
}

async function runGroups(threads: FuzzThreads, witness: Witness, seed: number, options: RunOptions): Promise<void> {
  let next = 0;
  const client = async () => {
    while (next < options.groups && !witness.closing) {
      const n = next++;
      const plan = groupPlan(new Random(seed, n), options);
      try {
        await new GroupRun(threads, plan, witness, `group ${n}`).run(12 * options.graceMs + CLOSE_MS + ALLOWANCE_MS);
      } catch (error) {
        if (error instanceof Refused) witness.tally.add("refused", "groups");
        else if (!witness.closing || (error as Error).message !== "the threads are closed") throw error;
        await pause(1);
      }
      witness.check();
    }
  };
  await Promise.all(Array.from({ length: options.clients }, client));
}

async function killThreads(threads: FuzzThreads, { killed }: Witness, everyMs: number, random: Random, signal: AbortSignal): Promise<void> {
  while (everyMs > 0 && !signal.aborted) {
    await pause(random.below(2 * everyMs), undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const id = threads.killThread();
    if (id !== undefined) killed.add(id);
  }
}

/** All groups have ended. */
async function checkQuiet(threads: FuzzThreads, witness: Witness, options: RunOptions): Promise<void> {
  checkCounters(threads, witness);
  witness.check();
  const end = performance.now() + ALLOWANCE_MS;
  let left = restless(witness);
  while (left.length > 0 && performance.now() < end) {
    await pause(20);
    left = restless(witness);
  }
  for (const ran of left) witness.complain("its group has ended, and it goes on, or what it left behind does", ran);
  witness.check();
  await probe(threads, witness, options);
  checkCounters(threads, witness);
  witness.check();
}

async function checkedClose(threads: FuzzThreads, witness: Witness, graceMs: number): Promise<void> {
  witness.closing = true;
  const beganMs = performance.now();
  await threads.close();
  const tookMs = performance.now() - beganMs;
  if (tookMs > graceMs + CLOSE_MS + CLOSE_ALLOWANCE_MS) witness.complain(`close took ${tookMs.toFixed(0)} ms`);
}

/** Whatever happened before: no group is open. */
function checkCounters(threads: FuzzThreads, witness: Witness): void {
  const counters = Object.entries(threads.counters()).filter(([, count]) => count !== 0);
  if (counters.length > 0) witness.complain(`all groups have ended, and the counters say ${JSON.stringify(Object.fromEntries(counters))}`);
  const { running, started, finished } = threads.statistics();
  if (running !== 0 || started !== finished)
    witness.complain(`all groups have ended, and the totals say ${JSON.stringify({ running, started, finished })}`);
}

function checkReplaced(threads: FuzzThreads, witness: Witness): void {
  const told = [...threads.statistics().replaced.values()].reduce((sum, count) => sum + count, 0);
  if (told !== witness.replaced.size) witness.complain(`${told} threads were replaced, of which ${witness.replaced.size} were told`);
}

/** Every start was counted. A thread that dies may have counted a start and not have come to it, or the other way round. */
function checkStarts(threads: FuzzThreads, witness: Witness): void {
  const began = witness.ran.reduce((sum, { n }) => sum + witness.notes.get(n, BEGAN), 0);
  const { started } = threads.statistics();
  const room = witness.replaced.size + (witness.closing ? 8 : 0);
  if (started < began || started > began + room) {
    throw new FuzzFailure(`${began} tasks began, ${started} were counted, and ${witness.replaced.size} threads were replaced`);
  }
}

const SHARED_TASKS = 5;
const START_MS = 60_000;

/**
 * After whatever has happened the library serves: tasks get their threads, are counted exactly while they run, and hear their cancel. Where a
 * thread dies meanwhile, of something that a hostile task has left on it, the threads are probed again.
 */
async function probe(threads: FuzzThreads, witness: Witness, options: RunOptions): Promise<void> {
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
  const { running, started, finished } = threads.statistics();
  if (running !== all.length || started !== finished + running) {
    witness.complain(`${all.length} tasks run, and the totals say ${JSON.stringify({ running, started, finished })}`);
  }
}
