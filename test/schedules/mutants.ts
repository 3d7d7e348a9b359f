import type { Change } from "./changed-sources.ts";

/** A fault that somebody could make in the protocol. */
export interface Mutant extends Change {
  readonly name: string;
  /** The scenario that finds it. */
  readonly foundBy: string;
}

const BOARD = "src/threads/cancel-board.ts";
const TRACKER = "src/threads/tracker.ts";
const SLOTS = "src/threads/slots.ts";
const GROUP = "src/threads/step-group.ts";
const SERVE = "workers/runtime/serve.ts";
const WATCH = "workers/runtime/cancel-watch.ts";
const CAPACITY = "src/permits/capacity.ts";

/** Neighboring generations of the log are all that must differ, so one bit has to do: what takes 256 of them in the service takes two here. */
export const FEW_GENERATIONS: Change = { file: BOARD, from: "const GENERATION_BITS = 8;", to: "const GENERATION_BITS = 1;" };

export const MUTANTS: readonly Mutant[] = [
  {
    name: "the bell changes but nobody is woken",
    file: BOARD,
    from: "      Atomics.notify(this.#words, bell);\n",
    to: "",
    foundBy: "a step fails, the main thread cancels, a step listens",
  },
  {
    name: "threads are woken before their bell has changed",
    file: BOARD,
    from: "      Atomics.add(this.#words, bell, 1);\n      Atomics.notify(this.#words, bell);\n",
    to: "      Atomics.notify(this.#words, bell);\n      Atomics.add(this.#words, bell, 1);\n",
    foundBy: "two orders are canceled, steps of both listen on one thread",
  },
  {
    name: "threads are woken before the word is set",
    file: BOARD,
    from: "    if (Atomics.compareExchange(this.#words, this.#layout.boardAt(slot), open, canceled) !== open) return false;\n    this.notify(slot);\n    return true;\n",
    to: "    this.notify(slot);\n    return Atomics.compareExchange(this.#words, this.#layout.boardAt(slot), open, canceled) === open;\n",
    foundBy: "two orders are canceled, steps of both listen on one thread",
  },
  {
    name: "threads are woken before the cancel is logged",
    file: BOARD,
    from: "    this.#log(slot);\n",
    to: "    setImmediate(() => this.#log(slot));\n",
    foundBy: "two orders are canceled, steps of both listen on one thread",
  },
  {
    name: "two writers may write to one place",
    file: BOARD,
    from: "Atomics.compareExchange(words, at, old, this.#entry(slot, head)) === old;",
    to: "Atomics.exchange(words, at, this.#entry(slot, head)) === old;",
    foundBy: "two orders are canceled, steps of both listen on one thread",
  },
  {
    name: "a writer writes over an entry of any generation",
    file: BOARD,
    from: "const isMine = isNext && ",
    to: "const isMine = isNext !== null && ",
    foundBy: "a writer stalls while the log is filled twice",
  },
  {
    name: "a writer does not help the one before it",
    file: BOARD,
    from: "      Atomics.compareExchange(words, HEAD, head, (head + 1) | 0);\n      // If",
    to: "      if (isMine) Atomics.compareExchange(words, HEAD, head, (head + 1) | 0);\n      // If",
    foundBy: "a canceler stalls for ever, another step fails too",
  },
  {
    name: "the last cause wins",
    file: BOARD,
    from: "Atomics.compareExchange(this.#words, this.#layout.boardAt(slot), open, canceled) !== open",
    to: "Atomics.exchange(this.#words, this.#layout.boardAt(slot), canceled) !== open",
    foundBy: "a step fails, the main thread cancels, a step listens",
  },
  {
    name: "the step is counted after it has looked at its word",
    file: SERVE,
    from: "    tracker.countStart(row);\n    watch.add(context);\n",
    to: "    watch.add(context);\n    tracker.countStart(row);\n",
    foundBy: "a step starts while its order is canceled",
  },
  {
    name: "the step does not look at its word once it is registered",
    file: WATCH,
    from: "    context.stopIfCanceled();\n  }\n\n  /** To be called once for each `add`. */",
    to: "  }\n\n  /** To be called once for each `add`. */",
    foundBy: "a step starts while its order is canceled",
  },
  {
    name: "the bell is read after the log",
    file: WATCH,
    from: "      bell = this.#board.bell(this.#row);\n      this.#seen = this.#board.readLog(this.#seen, this.look, this.#lookAtAll);\n",
    to: "      this.#seen = this.#board.readLog(this.#seen, this.look, this.#lookAtAll);\n      bell = this.#board.bell(this.#row);\n",
    foundBy: "two orders are canceled, steps of both listen on one thread",
  },
  {
    name: "the wait is for any bell after the one it finds",
    file: BOARD,
    from: "this.#layout.rowAt(row, BELL), bell)",
    to: "this.#layout.rowAt(row, BELL), this.bell(row))",
    foundBy: "two orders are canceled, steps of both listen on one thread",
  },
  {
    name: "entries of another generation are believed",
    file: BOARD,
    from: "if (generationOf(entry) !== this.#generation(n)) {",
    to: "if (entry === 0x7fffffff) {",
    foundBy: "a listener falls behind by more than the log holds",
  },
  {
    name: "what came while the log was read counts as read",
    file: BOARD,
    from: "      look(entry >>> GENERATION_BITS);\n    }\n    return head;",
    to: "      look(entry >>> GENERATION_BITS);\n    }\n    return this.head();",
    foundBy: "two orders are canceled, steps of both listen on one thread",
  },
  {
    name: "a step that fails second wakes nobody",
    file: SERVE,
    from: 'if (!board.cancel(slot, generation, "sibling_failed")) board.notify(slot);',
    to: 'board.cancel(slot, generation, "sibling_failed");',
    foundBy: "a canceler stalls for ever, another step fails too",
  },
  {
    name: "the main thread wakes nobody where it cancels second",
    file: GROUP,
    from: "    if (!isFirst && !this.#failureHasNotified) board.notify(this.slot);\n",
    to: "",
    foundBy: "a canceler stalls for ever, the main thread cancels too",
  },
  {
    name: "a word is read for whichever group has the slot",
    file: BOARD,
    from: "return word >>> CAUSE_BITS === generation ? ",
    to: "return generation >= 0 ? ",
    foundBy: "work that a step left behind meets the next order in its slot",
  },
  {
    name: "a step is counted as ended after its outcome was posted",
    file: SERVE,
    from: "    tracker.countEnd(row, endedAtMs);\n",
    to: "    setImmediate(() => setImmediate(() => tracker.countEnd(row, endedAtMs)));\n",
    foundBy: "a step that failed dies or its thread does",
  },
  {
    name: "a thread acknowledges before its steps have stopped",
    file: WATCH,
    from: "setImmediate(() => setImmediate(() => this.#board.acknowledge(this.#row, head)))",
    to: "this.#board.acknowledge(this.#row, head)",
    foundBy: "a thread that has acknowledged a cancel has ended its steps",
  },
  {
    name: "a row's owner goes first",
    file: TRACKER,
    from: "for (let field = BELL; field >= OWNER; field--)",
    to: "for (let field = OWNER; field <= BELL; field++)",
    foundBy: "a thread dies and its replacement claims a row",
  },
  {
    name: "what a dead thread had counted is lost",
    file: TRACKER,
    from: "    this.#departed += this.read(row).started;\n",
    to: "",
    foundBy: "a thread dies and its replacement claims a row",
  },
  {
    name: "a slot comes back with its last cause",
    file: SLOTS,
    from: "    this.#board.renew(slot);\n",
    to: "",
    foundBy: "a slot is given back and taken again while its last order's cancelers go on",
  },
  {
    name: "a step that ends takes those before it off the thread's list",
    file: WATCH,
    from: "      this.#newest[context.slot] = context.older;\n",
    to: "      this.#newest[context.slot] = undefined;\n",
    foundBy: "one of two steps on a thread ends while the order is canceled",
  },
  {
    name: "a step is counted as running last",
    file: TRACKER,
    from: "    Atomics.add(this.#words, this.#layout.rowAt(row, RUNNING), 1);\n    Atomics.add(this.#words, this.#layout.rowAt(row, STARTED), 1);\n",
    to: "    Atomics.add(this.#words, this.#layout.rowAt(row, STARTED), 1);\n    Atomics.add(this.#words, this.#layout.rowAt(row, RUNNING), 1);\n",
    foundBy: "the main thread looks at the counts while a step starts and ends",
  },
  {
    name: "a step that ends stops running first",
    file: TRACKER,
    from: "    Atomics.add(this.#words, this.#layout.rowAt(row, FINISHED), 1);\n    Atomics.sub(this.#words, this.#layout.rowAt(row, RUNNING), 1);\n",
    to: "    Atomics.sub(this.#words, this.#layout.rowAt(row, RUNNING), 1);\n    Atomics.add(this.#words, this.#layout.rowAt(row, FINISHED), 1);\n",
    foundBy: "the main thread looks at the counts while a step starts and ends",
  },
  {
    name: "counts are read in the order in which they are written",
    file: TRACKER,
    from: "    known.started = unwrapped(known.started, this.#load(row, STARTED));\n    const running = this.#load(row, RUNNING);\n    known.finished = unwrapped(known.finished, this.#load(row, FINISHED));\n",
    to: "    known.finished = unwrapped(known.finished, this.#load(row, FINISHED));\n    const running = this.#load(row, RUNNING);\n    known.started = unwrapped(known.started, this.#load(row, STARTED));\n",
    foundBy: "the main thread looks at the counts while a step starts and ends",
  },
  {
    name: "a step that ends between two readings has finished before it started",
    file: TRACKER,
    from: "Math.min(started, finished + Math.min(running, givenUp))",
    to: "finished + Math.min(running, givenUp)",
    foundBy: "the main thread looks at the counts while a step starts and ends",
  },
];

/** Of `Capacity`, whose schedules are those of one thread. */
export const CAPACITY_MUTANTS: readonly (Change & { readonly name: string })[] = [
  {
    name: "a cancel between the grant and the waiter's turn does not count",
    file: CAPACITY,
    from: "    if (scope?.cause === undefined) {\n      resolve(",
    to: "    if (scope !== null) {\n      resolve(",
  },
  {
    name: "a permit that was granted to a canceled waiter is lost",
    file: CAPACITY,
    from: "      this.#release(UNMEASURED);\n",
    to: "",
  },
  {
    name: "a waiter that was granted its permit still listens",
    file: CAPACITY,
    from: "      next.subscription?.unsubscribe();\n",
    to: "",
  },
  {
    name: "a canceled waiter keeps its place",
    file: CAPACITY,
    from: "        this.#line.remove(waiter);\n        reject",
    to: "        reject",
  },
  {
    name: "who comes canceled may have a free permit",
    file: CAPACITY,
    from: "    if (scope?.cause !== undefined) return Promise.reject(new Canceled(scope.cause));\n",
    to: "",
  },
];
