import type { MainRole } from "./main-role.ts";
import type { TestedGroup } from "./tested-group.ts";

/** At every moment: a task that has settled is not counted as running any more, and nothing is counted twice. */
export function countsFault({ threads: { tracker, parts } }: MainRole): string | undefined {
  const { running, started, finished } = tracker.totals();
  if (started > running + finished) return `${started} tasks have started, but ${running} run and ${finished} have finished`;
  if (finished > started) return `${finished} tasks have finished, but ${started} have started`;
  if (running < 0 || running > parts.table.inUse) return `${running} tasks are counted as running, ${parts.table.inUse} have not settled`;
  return undefined;
}

/** At every moment: an exclusive thread has one task, and no more threads are on their way out than the pool has. */
export function crowdFault({ threads: { pools }, scenario: { exclusive = 0, shared, threads } }: MainRole): string | undefined {
  const [first, second] = pools;
  for (const { id, inFlight, givenUp } of second?.all() ?? []) {
    if (inFlight + givenUp > 1) return `exclusive thread ${id} has ${inFlight} tasks and ${givenUp} that were given up`;
  }
  const leaving = [...(first?.all() ?? [])].filter(({ isSetAside, killed }) => isSetAside && !killed).length;
  return leaving > (shared ?? threads - 1 - exclusive) ? `${leaving} threads are on their way out` : undefined;
}

/** What is wrong when everything has come to rest. */
export function faultAtRest(main: MainRole): string | undefined {
  for (const [n, group] of main.groups.entries()) {
    const fault = groupFault(group, main);
    if (fault !== undefined) return `group ${n}: ${fault}`;
  }
  if (main.threads.isClosing !== main.threads.isClosed) return "the threads have not been closed";
  return poolsFault(main) ?? partsFault(main) ?? countsAtRest(main);
}

function groupFault(group: TestedGroup, { control, ledger, exits, scenario }: MainRole): string | undefined {
  if (group.isClosed && group.cause !== group.closedFor) return `was canceled for ${group.cause}, on the board for ${group.closedFor}`;
  const cause = group.isClosed ? group.closedFor : group.causeOnBoard;
  if (cause !== undefined && !group.mayBeCanceled) return `was canceled for ${cause}, which another one was meant to be`;
  const isLost = (thread: number | undefined) => thread !== undefined && control.turns.isGone(thread);
  for (const { number, behavior, task } of group.open) {
    if (scenario.graceMs !== undefined && group.cause !== undefined) return `task ${number} has not settled a grace after the cancel`;
    if (task.threadId !== undefined && exits.has(task.threadId)) return `task ${number} waits for thread ${task.threadId}, which is dead`;
    if (isLost(task.threadId) || scenario.mayGoUnheard === true || behavior === "ignores its cancel") continue;
    if (cause !== undefined) return `task ${number} on thread ${task.threadId} has not heard that it was canceled for ${cause}`;
    if (task.threadId !== undefined && ledger.bodies(number) === 0) return `task ${number} was never begun`;
  }
  // A task that was given up may be the one that failed.
  const mayHaveFailed = group.tasks.some(
    ({ outcome, wasGivenUp }) => wasGivenUp || outcome?.status === "failed" || outcome?.status === "lost",
  );
  if (group.isClosed && cause === "sibling_failed" && !mayHaveFailed) return "was canceled for a failure that nobody has seen";
  for (const { number, idempotent, outcome } of group.tasks) {
    const bodies = ledger.bodies(number);
    if (bodies > 1 && !idempotent) return `task ${number} has run ${bodies} times`;
    if (outcome?.status === "canceled" && !outcome.started && bodies > 0)
      return `task ${number} has run, though it was told that it never would`;
  }
  return undefined;
}

/** Threads are replaced, and no thread that is done for is kept. */
function poolsFault({ threads, control, exits, scenario }: MainRole): string | undefined {
  const { exclusive = 0, shared = scenario.threads - 1 - exclusive } = scenario;
  for (const [pool, expected] of [
    [threads.pools[0], shared],
    [threads.pools[1], exclusive],
  ] as const) {
    const all = [...(pool?.all() ?? [])];
    const staying = all.filter(({ killed, isSetAside }) => !killed && !isSetAside);
    if (staying.length !== (threads.isClosing ? 0 : expected)) return `the ${pool?.name} pool has ${staying.length} threads`;
    if (pool !== undefined && all.length > pool.alive) return `the ${pool.name} pool waits for a thread that has died`;
    for (const thread of all) {
      const { id, readyAtMs, isSetAside, inFlight, killed } = thread;
      if (exits.has(id) && readyAtMs !== undefined) return `thread ${id} has died, and its pool keeps it`;
      if (isSetAside && inFlight === 0 && !killed) return `thread ${id} was set aside, has nothing to do, and is kept`;
      if (killed) return `thread ${id} was ended, and its tasks wait for it`;
      const own = threads.parts.table.all().filter((task) => task.thread === thread).length;
      if (inFlight !== own) return `thread ${id} counts ${inFlight} tasks in flight, and has ${own}`;
      if (thread.takesTasks && !control.turns.isGone(id) && threads.parts.table.all().some((task) => waitsFor(task.threadId)))
        return `a task waits, and thread ${id} takes tasks`;
    }
  }
  for (const thread of exits) if (threads.tracker.rowOf(thread) !== undefined) return `thread ${thread} has died, and its row is taken`;
  return undefined;

  function waitsFor(thread: number | undefined): boolean {
    return thread === undefined && scenario.maxTasksPerThread === undefined && exclusive === 0;
  }
}

function partsFault({ groups, threads: { parts } }: MainRole): string | undefined {
  const open = groups.filter(({ isClosed }) => !isClosed).length;
  if (parts.slots.inUse !== open) return `${parts.slots.inUse} slots are taken for ${open} open groups`;
  if (parts.graceWatch.size > open) return `${parts.graceWatch.size} groups are watched, ${open} are open`;
  return undefined;
}

function countsAtRest({ threads, control, exits, ledger, groups, scenario }: MainRole): string | undefined {
  const isStalled = threads.all().some(({ id }) => control.turns.isGone(id) && !exits.has(id));
  if (isStalled) return undefined;
  const { running, started, finished } = threads.tracker.totals();
  const open = groups.flatMap((group) => group.open).filter(({ task }) => task.threadId !== undefined).length;
  if (running !== open || started !== finished + running) {
    return `${open} tasks run, but running, started, finished are counted as ${running}, ${started}, ${finished}`;
  }
  const bodies = groups.flatMap((group) => group.tasks).reduce((sum, { number }) => sum + ledger.bodies(number), 0);
  // A thread may die between the count and the body.
  const deaths = Array.from({ length: scenario.threads }, (_, thread) => control.turns.isGone(thread)).filter(Boolean).length;
  if (started < bodies || started > bodies + deaths) return `${bodies} tasks ran, ${started} are counted`;
  return undefined;
}
