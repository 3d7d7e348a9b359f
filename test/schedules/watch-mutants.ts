import type { Mutant } from "./changed-sources.ts";

const DISPATCHER = "src/threads/dispatcher.ts";
const POOL = "src/threads/pool-threads.ts";
const THREAD = "src/threads/pool-thread.ts";
const GROUP = "src/threads/slot-group.ts";
const TRACKER = "src/threads/tracker.ts";
const SERVE = "src/threads/worker/serve.ts";
const GRACE = "src/threads/grace-watch.ts";
const PROGRESS = "src/threads/progress-watch.ts";

/** Of what depends on time. */
export const WATCH_MUTANTS: readonly Mutant[] = [
  {
    name: "tasks that ignore their cancel are waited for",
    file: GROUP,
    from: "    if (sent.length > 0) this.#endWatch = graceWatch.watch(sent);\n",
    to: "",
    foundBy: "two groups are canceled one after the other and ignore it",
  },
  {
    name: "tasks are given up before what has arrived was read",
    file: GRACE,
    from: "    this.#clock.onceRead(() => this.#judge(firedMs));\n",
    to: "    this.#judge(firedMs);\n",
    foundBy: "a task is given up and fails later, its slot is taken again",
  },
  {
    name: "tasks are given up with those of a group that was canceled before",
    file: GRACE,
    from: "      if (lateMs < 0) break;\n",
    to: "",
    foundBy: "two groups are canceled one after the other and ignore it",
  },
  {
    name: "only the first of several graces ends",
    file: GRACE,
    from: "    if (next !== undefined) {\n",
    to: "    if (next === null) {\n",
    foundBy: "two groups are canceled one after the other and ignore it",
  },
  {
    name: "a main thread that stood still takes its threads' time",
    file: GRACE,
    from: "if (lateMs > LATE_SHARE * this.#graceMs && watched.extensions < MAX_EXTENSIONS) {",
    to: "if (lateMs > 99 * this.#graceMs) {",
    foundBy: "the main thread stands still for longer than a grace",
  },
  {
    name: "a task that was given up still counts as running",
    file: DISPATCHER,
    from: "    this.#options.tracker.giveUp(thread.row);\n",
    to: "",
    foundBy: "a task is given up and fails later, its slot is taken again",
  },
  {
    name: "nobody remembers which tasks were given up",
    file: DISPATCHER,
    from: "    thread.givenUpTasks.add(task.key);\n",
    to: "",
    foundBy: "a task is given up and fails later, its slot is taken again",
  },
  {
    name: "a task that was given up counts as given up after it has ended",
    file: DISPATCHER,
    from: "        tracker.endedLate(thread.row);\n",
    to: "",
    foundBy: "a task is given up and fails later, its slot is taken again",
  },
  {
    name: "a task that has not arrived is given up as if it ran",
    file: DISPATCHER,
    from: "    if (!this.#hasReceived(thread, task.messageNumber)) {\n      // It looks",
    to: "    if (thread.gone) {\n      // It looks",
    foundBy: "a task is canceled on its way and given up before it arrives",
  },
  {
    name: "nobody looks at those that wait when a task ends that was given up",
    file: DISPATCHER,
    from: "        // A thread of the exclusive pool takes the next one only now.\n        this.lookAtWaiting();\n",
    to: "",
    foundBy: "an exclusive thread is free once the task that it was given up for has ended",
  },
  {
    name: "an exclusive thread takes a task beside one that was given up",
    file: DISPATCHER,
    from: " || (most === 1 && thread.givenUp > 0)",
    to: "",
    foundBy: "a task that computes alone on its thread is canceled",
  },
  {
    name: "the heartbeat is no sign of life",
    file: TRACKER,
    from: "this.#load(row, HEARTBEAT)}",
    to: "row}",
    foundBy: "a thread stands still beside one that is well",
  },
  {
    name: "a thread never beats",
    file: SERVE,
    from: "    this.#tracker.beat(this.#row);\n",
    to: "",
    foundBy: "a thread stands still beside one that is well",
  },
  {
    name: "a thread that moves again has stood still all the same",
    file: PROGRESS,
    from: "before.sign === sign ? before.still + 1 : 0;",
    to: "before.still >= 0 ? before.still + 1 : 0;",
    foundBy: "a thread stands still beside one that is well",
  },
  {
    name: "a thread that stands still is kept",
    file: PROGRESS,
    from: "else if (still >= STUCK_LOOKS && (",
    to: "else if (false && (",
    foundBy: "a thread stands still beside one that is well",
  },
  {
    name: "a thread is ended for computing alone",
    file: PROGRESS,
    from: '(pool.name === "shared" || this.#isStuckAlone(thread, still))',
    to: "true",
    foundBy: "a task computes alone on its thread",
  },
  {
    name: "an exclusive thread that stands still is kept though it runs nothing",
    file: PROGRESS,
    from: " || this.#isStuckAlone(thread, still))",
    to: ")",
    foundBy: "a task that computes alone on its thread is canceled",
  },
  {
    name: "a thread is ended for one task that ignores its cancel",
    file: PROGRESS,
    from: '(still >= GRACE_LOOKS || pool.name === "exclusive")',
    to: "still >= 0",
    foundBy: "a task ignores its cancel on a thread that is well",
  },
  {
    name: "an exclusive thread is kept though its task ignores its cancel",
    file: PROGRESS,
    from: '(still >= GRACE_LOOKS || pool.name === "exclusive")',
    to: 'still >= GRACE_LOOKS && pool.name === "shared"',
    foundBy: "a task that computes alone on its thread is canceled",
  },
  {
    name: "a thread is ended though the task that it was given up for has ended",
    file: PROGRESS,
    from: "const gaveUp = thread.givenUp === 0 ? 0 : (before?.gaveUp ?? 0) + 1;",
    to: "const gaveUp = thread.givenUp === 0 && !before?.gaveUp ? 0 : (before?.gaveUp ?? 0) + 1;",
    foundBy: "an exclusive thread is free once the task that it was given up for has ended",
  },
  {
    name: "a thread that does not come up is waited for",
    file: PROGRESS,
    from: '          if (still >= this.#startLooks) thread.kill("heartbeat");\n',
    to: "",
    foundBy: "a thread does not come up",
  },
  {
    name: "tasks that ignore their cancel may pile up on a thread",
    file: PROGRESS,
    from: "    else if (crowded > GRACE_LOOKS) pool.setAside(thread);\n",
    to: "",
    foundBy: "tasks that ignore their cancel pile up on a thread",
  },
  {
    name: "a thread that is set aside is not replaced",
    file: POOL,
    from: '    if (thread.inFlight === 0) thread.kill("grace");\n    else this.#ensureThreads();\n',
    to: '    if (thread.inFlight === 0) thread.kill("grace");\n',
    foundBy: "tasks that ignore their cancel pile up on a thread",
  },
  {
    name: "a thread that was set aside never gives its place back",
    file: THREAD,
    from: '    if (this.isSetAside && this.inFlight === 0) this.kill("grace");\n',
    to: "",
    foundBy: "tasks that ignore their cancel pile up on a thread",
  },
  {
    name: "a thread that is set aside takes tasks",
    file: THREAD,
    from: "this.leaving === undefined && !this.isSetAside;",
    to: "this.leaving === undefined;",
    foundBy: "tasks that ignore their cancel pile up on a thread",
  },
  {
    name: "any number of threads may be on their way out",
    file: POOL,
    from: '    if (before.length >= this.#options.threads) before[0]?.kill("grace");\n',
    to: "",
    foundBy: "two threads are set aside one after the other",
  },
];
