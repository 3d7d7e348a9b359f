import type { Mutant } from "./changed-sources.ts";

const DISPATCHER = "src/threads/dispatcher.ts";
const POOL = "src/threads/pool-threads.ts";
const WORKERS = "src/threads/pool-workers.ts";
const THREAD = "src/threads/pool-thread.ts";
const GROUP = "src/threads/slot-group.ts";
const SLOTS = "src/threads/places.ts";
const TRACKER = "src/threads/tracker.ts";

/** Of what the main thread does with groups, tasks and threads. */
export const POOL_MUTANTS: readonly Mutant[] = [
  {
    name: "the main thread wakes nobody where it cancels second",
    file: GROUP,
    from: "    if (!isFirst && !this.#failureHasNotified) board.notify(this.slot);\n",
    to: "",
    foundBy: "a canceler stalls for ever, the main thread cancels too",
  },
  {
    name: "a task that stopped for a failure does not tell of it",
    file: GROUP,
    from: "this.#scope.cause === undefined && this.#open > 1) this.parts.board.notify(this.slot);",
    to: "this.#scope.cause === undefined && this.#open > 999) this.parts.board.notify(this.slot);",
    foundBy: "a canceler stalls for ever, a sibling looks by itself",
  },
  {
    name: "a failure that is due stays due though a lost task took it along",
    file: GROUP,
    from: 'if (outcome.status === "lost" || this.#failureHasNotified) ',
    to: "if (this.#failureHasNotified) ",
    foundBy: "a thread dies that has two tasks of a group that is canceled",
  },
  {
    name: "a failure is not waited for once the main thread has canceled",
    file: GROUP,
    from: "this.#failureIsDue = !isFirst && ",
    to: "this.#failureIsDue = false && ",
    foundBy: "a thread dies that has two tasks of a group that is canceled",
  },
  {
    name: "tasks that wait do not hear of their cancel",
    file: GROUP,
    from: "    if (sent.length < tasks.length) setImmediate(() => this.#settleWaiting(tasks, cause));\n",
    to: "",
    foundBy: "a task is canceled that waits behind one that stays",
  },
  {
    name: "nobody looks at those that wait when a task has settled",
    file: GROUP,
    from: "    this.#dispatcherOf(task.options).lookAtWaiting();\n",
    to: "",
    foundBy: "tasks that wait for a thread are canceled",
  },
  {
    name: "a group that is over is still watched",
    file: GROUP,
    from: "    this.#endWatch?.();\n",
    to: "",
    foundBy: "a task fails, the main thread cancels, a task listens",
  },
  {
    name: "a slot comes back with its last cause",
    file: SLOTS,
    from: "    this.#board.renew(slot);\n",
    to: "",
    foundBy: "a slot is given back and taken again while its last group's cancelers go on",
  },
  {
    name: "a task that its thread never received is lost with it",
    file: DISPATCHER,
    from: " : task.unread <= MAX_LOSSES;",
    to: " : false;",
    foundBy: "a thread dies while tasks are on their way to it",
  },
  {
    name: "messages to a thread are counted from 0",
    file: DISPATCHER,
    from: "const number = thread.sent + 1;",
    to: "const number = thread.sent;",
    foundBy: "a thread dies while tasks are on their way to it",
  },
  {
    name: "the last message to a thread counts as not received",
    file: TRACKER,
    from: "return ((this.#load(row, RECEIVED) - n) | 0) >= 0;",
    to: "return ((this.#load(row, RECEIVED) - n) | 0) > 0;",
    foundBy: "a thread dies while tasks are on their way to it",
  },
  {
    name: "a task that was lost is never thought to have begun",
    file: DISPATCHER,
    from: "`, started: received });",
    to: "`, started: false });",
    foundBy: "a thread dies while tasks are on their way to it",
  },
  {
    name: "an idempotent task is not run again",
    file: DISPATCHER,
    from: "task.options?.idempotent === true && task.losses < MAX_LOSSES",
    to: "task.options?.idempotent === true && task.losses > MAX_LOSSES",
    foundBy: "a thread dies while tasks are on their way to it",
  },
  {
    name: "those that wait are not looked at when a thread comes up",
    file: POOL,
    from: "    this.#startedOrFailed();\n    this.#dispatcher.lookAtWaiting();\n",
    to: "    this.#startedOrFailed();\n",
    foundBy: "a thread dies while it starts",
  },
  {
    name: "outcomes that a thread has posted are not read when it is settled",
    file: THREAD,
    from: "    for (let left = nextOf(port1); left !== undefined; left = nextOf(port1)) this.#events.message(left.message);\n",
    to: "",
    foundBy: "a task that failed dies or its thread does",
  },
  {
    name: "outcomes are read after the tasks were lost",
    file: POOL,
    from: "    thread.closePort();\n",
    to: "    setImmediate(() => thread.closePort());\n",
    foundBy: "a task that failed dies or its thread does",
  },
  {
    name: "a thread that was killed is replaced only when it has died",
    file: POOL,
    from: "      this.#ensureThreads();\n      return;\n",
    to: "      return;\n",
    foundBy: "a thread is killed in a native call",
  },
  {
    name: "the tasks of a thread that was killed wait for its death",
    file: POOL,
    from: "setTimeout(() => this.#settle(thread), DEATH_MS)",
    to: "setTimeout(() => {}, DEATH_MS)",
    foundBy: "a thread is killed in a native call",
  },
  {
    name: "tasks on a thread that cannot die are counted as running",
    file: POOL,
    from: "    if (thread.row !== undefined) this.#options.tracker.depart(thread.row);\n",
    to: "",
    foundBy: "a thread is killed in a native call",
  },
  {
    name: "closing waits for a thread that cannot die",
    file: WORKERS,
    from: "      await atMost(new Promise<void>((resolve) => (this.#exited = resolve)), quietMs);\n",
    to: "      await new Promise<void>((resolve) => (this.#exited = resolve));\n",
    foundBy: "the threads are closed while one of them is in a native call",
  },
  {
    name: "a row is emptied before its tasks have settled",
    file: POOL,
    from: "    if (thread !== undefined) this.#died(thread);\n",
    to: "    if (thread?.row !== undefined) tracker.release(thread.row);\n    if (thread !== undefined) this.#died(thread);\n",
    foundBy: "a thread dies while tasks are on their way to it",
  },
  {
    name: "the row of a thread that dies before it is ready is never emptied",
    file: POOL,
    from: "const row = thread?.row ?? tracker.rowOf(id);",
    to: "const row = thread?.row;",
    foundBy: "a thread dies while it starts",
  },
  {
    name: "a thread that dies before its standing task is not replaced",
    file: POOL,
    from: "    if (thread === undefined) setImmediate(() => this.#failOrphanedStarts());\n",
    to: "",
    foundBy: "a thread dies unseen while it starts",
  },
];
