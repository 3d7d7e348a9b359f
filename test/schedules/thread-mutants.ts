import type { Mutant } from "./changed-sources.ts";

const SERVE = "src/threads/worker/serve.ts";
const WATCH = "src/threads/worker/cancel-watch.ts";
const CONTEXT = "src/threads/worker/task-context.ts";
const SLICES = "src/threads/worker/slices.ts";
const OUTBOX = "src/threads/worker/outbox.ts";
const TRACKER = "src/threads/tracker.ts";

/** Of what a task's thread does, and of what it counts. */
export const THREAD_MUTANTS: readonly Mutant[] = [
  {
    name: "the task is counted after it has looked at its word",
    file: SERVE,
    from: "    this.#tracker.countStart(this.#row);\n    this.#watch.add(context);\n",
    to: "    this.#watch.add(context);\n    this.#tracker.countStart(this.#row);\n",
    foundBy: "a task starts while its group is canceled",
  },
  {
    name: "the task does not look at its word once it is registered",
    file: WATCH,
    from: "    this.#newest[context.slot] = context;\n    context.look();\n",
    to: "    this.#newest[context.slot] = context;\n",
    foundBy: "a task starts while its group is canceled",
  },
  {
    name: "the bell is read after the log",
    file: WATCH,
    from: "      bell = this.#board.bell(this.#row);\n      this.catchUp();\n",
    to: "      this.catchUp();\n      bell = this.#board.bell(this.#row);\n",
    foundBy: "two groups are canceled, tasks of both listen on one thread",
  },
  {
    name: "a task that ends takes those before it off its thread's list",
    file: WATCH,
    from: "if (newer === undefined) this.#newest[slot] = older;",
    to: "if (newer === undefined) this.#newest[slot] = undefined;",
    foundBy: "a task computes for longer than a slice",
  },
  {
    name: "a task in the middle is never taken off its thread's list",
    file: WATCH,
    from: "    else newer.older = older;\n",
    to: "",
    foundBy: "one of three tasks on a thread ends while the group is canceled",
  },
  {
    name: "a task that fails second wakes nobody",
    file: SERVE,
    from: 'if (!this.#board.cancel(slot, generation, "sibling_failed")) this.#board.notify(slot);',
    to: 'this.#board.cancel(slot, generation, "sibling_failed");',
    foundBy: "a canceler stalls for ever, another task fails too",
  },
  {
    name: "a task is counted as ended after its outcome was posted",
    file: SERVE,
    from: "    this.#tracker.countEnd(this.#row);\n",
    to: "    setImmediate(() => setImmediate(() => this.#tracker.countEnd(this.#row)));\n",
    foundBy: "a task that failed dies or its thread does",
  },
  {
    name: "a message is counted as received after its first task has begun",
    file: SERVE,
    from: "    this.#tracker.countReceived(this.#row);\n    this.#slices.add(message);\n",
    to: "    this.#slices.add(message);\n    this.#tracker.countReceived(this.#row);\n",
    foundBy: "a thread dies while tasks are on their way to it",
  },
  {
    name: "a task begins whose group is over",
    file: SERVE,
    from: "const cause = this.#board.heardBy(slot, generation)",
    to: "const cause = this.#board.causeOf(slot, generation)",
    foundBy: "a task is canceled on its way and given up before it arrives",
  },
  {
    name: "what a task left behind is not told that the task has ended",
    file: SERVE,
    from: "    context.end();\n",
    to: "",
    foundBy: "work that a task left behind goes on beside its siblings",
  },
  {
    name: "a task whose group is over hears nothing any more",
    file: CONTEXT,
    from: "this.#board.heardBy(this.slot, this.generation)",
    to: "this.#board.causeOf(this.slot, this.generation)",
    foundBy: "a task looks after it was given up",
  },
  {
    name: "what is left of a message is forgotten after a slice",
    file: SLICES,
    from: "      if (this.#bursts.length > 0) this.#run(this.#startOf(0));\n",
    to: "",
    foundBy: "a task computes for longer than a slice",
  },
  {
    name: "the outcomes of a turn after the first are forgotten",
    file: OUTBOX,
    from: "    if (this.#sent(ended)) return;\n",
    to: "    if (this.#sent(ended.slice(0, OUTCOME_STRIDE))) return;\n",
    foundBy: "a task computes for longer than a slice",
  },
  {
    name: "a row is claimed before anybody looks at it",
    file: TRACKER,
    from: "      for (let used = this.#used(); used <= row; used = this.#used()) Atomics.compareExchange(this.#words, ROWS_USED, used, row + 1);\n      if (Atomics.compareExchange(this.#words, this.#layout.rowAt(row, OWNER), 0, threadId) !== 0) continue;\n",
    to: "      if (Atomics.compareExchange(this.#words, this.#layout.rowAt(row, OWNER), 0, threadId) !== 0) continue;\n      for (let used = this.#used(); used <= row; used = this.#used()) Atomics.compareExchange(this.#words, ROWS_USED, used, row + 1);\n",
    foundBy: "a thread dies while it starts",
  },
  {
    name: "what a dead thread had counted is lost",
    file: TRACKER,
    from: "    this.#departed += this.read(row).started;\n",
    to: "",
    foundBy: "a thread dies and its replacement claims a row",
  },
  {
    name: "a task is counted as running last",
    file: TRACKER,
    from: "    Atomics.add(this.#words, this.#layout.rowAt(row, RUNNING), 1);\n    Atomics.add(this.#words, this.#layout.rowAt(row, STARTED), 1);\n",
    to: "    Atomics.add(this.#words, this.#layout.rowAt(row, STARTED), 1);\n    Atomics.add(this.#words, this.#layout.rowAt(row, RUNNING), 1);\n",
    foundBy: "the main thread looks at the counts while a task starts and ends",
  },
  {
    name: "a task that ends stops running first",
    file: TRACKER,
    from: "    Atomics.add(this.#words, this.#layout.rowAt(row, FINISHED), 1);\n    Atomics.sub(this.#words, this.#layout.rowAt(row, RUNNING), 1);\n",
    to: "    Atomics.sub(this.#words, this.#layout.rowAt(row, RUNNING), 1);\n    Atomics.add(this.#words, this.#layout.rowAt(row, FINISHED), 1);\n",
    foundBy: "the main thread looks at the counts while a task starts and ends",
  },
  {
    name: "counts are read in the order in which they are written",
    file: TRACKER,
    from: "    known.started = unwrapped(known.started, this.#load(row, STARTED));\n    const running = this.#load(row, RUNNING);\n    known.finished = unwrapped(known.finished, this.#load(row, FINISHED));\n",
    to: "    known.finished = unwrapped(known.finished, this.#load(row, FINISHED));\n    const running = this.#load(row, RUNNING);\n    known.started = unwrapped(known.started, this.#load(row, STARTED));\n",
    foundBy: "the main thread looks at the counts while a task starts and ends",
  },
  {
    name: "a task that ends between two readings has finished before it started",
    file: TRACKER,
    from: "const ended = Math.min(started, finished + Math.min(running, givenUp));",
    to: "const ended = finished + Math.min(running, givenUp);",
    foundBy: "the main thread looks at the counts while a task starts and ends",
  },
];
