import type { Change } from "./changed-sources.ts";

/** A fault that somebody could make in the protocol. */
export interface Mutant extends Change {
  readonly name: string;
  /** The scenario that finds it. */
  readonly foundBy: string;
}

const LAYOUT = "src/threads/layout.ts";
const SERVE = "workers/runtime/serve.ts";
const WATCH = "workers/runtime/cancel-watch.ts";
const RUN = "src/threads/thread-run.ts";
const TRACKER = "src/threads/tracker.ts";
const CAPACITY = "src/concurrency/capacity.ts";
const BOARD = "src/threads/cancel-board.ts";

/** The log of the scenarios has room for so few cancels that it can overflow. */
export const SMALL_LOG: Change = { file: LAYOUT, from: "const LOG_BITS = 12;", to: "const LOG_BITS = 2;" };

export const MUTANTS: readonly Mutant[] = [
  {
    name: "the bell is rung but nobody is woken",
    file: LAYOUT,
    from: "      Atomics.notify(this.#words, this.#at(row, BELL));\n",
    to: "",
    foundBy: "a step fails, the main thread cancels, a step listens",
  },
  {
    name: "threads are woken before their bell has changed",
    file: LAYOUT,
    from: "      Atomics.add(this.#words, this.#at(row, BELL), 1);\n      Atomics.notify(this.#words, this.#at(row, BELL));\n",
    to: "      Atomics.notify(this.#words, this.#at(row, BELL));\n      Atomics.add(this.#words, this.#at(row, BELL), 1);\n",
    foundBy: "two orders are canceled, steps of both listen on one thread",
  },
  {
    name: "a place in the log is claimed in two operations",
    file: LAYOUT,
    from: "    const n = Atomics.add(this.#words, HEAD, 1);\n",
    to: "    const n = Atomics.load(this.#words, HEAD);\n    Atomics.store(this.#words, HEAD, n + 1);\n",
    foundBy: "two orders are canceled, steps of both listen on one thread",
  },
  {
    name: "the bells are rung before the word is set",
    file: LAYOUT,
    from: "    const at = this.#wordAt(slot);\n    if (Atomics.compareExchange(this.#words, at, 0, CANCEL_CAUSES.indexOf(cause) + 1) !== 0) return false;\n    this.ring(slot);\n    return true;\n",
    to: "    const at = this.#wordAt(slot);\n    this.ring(slot);\n    return Atomics.compareExchange(this.#words, at, 0, CANCEL_CAUSES.indexOf(cause) + 1) === 0;\n",
    foundBy: "two orders are canceled, steps of both listen on one thread",
  },
  {
    name: "the bells are rung before the cancel is logged",
    file: LAYOUT,
    from: "    const n = Atomics.add(this.#words, HEAD, 1);\n    Atomics.store(this.#words, LOG_START + (n & LOG_MASK), entryOf(slot, n));\n",
    to: "    setImmediate(() => {\n      const n = Atomics.add(this.#words, HEAD, 1);\n      Atomics.store(this.#words, LOG_START + (n & LOG_MASK), entryOf(slot, n));\n    });\n",
    foundBy: "two orders are canceled, steps of both listen on one thread",
  },
  {
    name: "the last cause wins",
    file: LAYOUT,
    from: "Atomics.compareExchange(this.#words, at, 0, CANCEL_CAUSES.indexOf(cause) + 1)",
    to: "Atomics.exchange(this.#words, at, CANCEL_CAUSES.indexOf(cause) + 1)",
    foundBy: "a step fails, the main thread cancels, a step listens",
  },
  {
    name: "the step is counted after it has looked at its word",
    file: SERVE,
    from: "    layout.countStart(row);\n    watch.add(context);\n",
    to: "    watch.add(context);\n    layout.countStart(row);\n",
    foundBy: "a step starts while its order is canceled",
  },
  {
    name: "the step does not look at its word once it is registered",
    file: WATCH,
    from: "    context.stopIfCanceled();\n  }\n\n  /** Once for each `add`. */",
    to: "  }\n\n  /** Once for each `add`. */",
    foundBy: "a step starts while its order is canceled",
  },
  {
    name: "the bell is read after the log",
    file: WATCH,
    from: "      bell = this.#layout.bell(this.#row);\n      this.#seen = this.#layout.readLog(this.#seen, this.look, this.#lookAtAll);\n",
    to: "      this.#seen = this.#layout.readLog(this.#seen, this.look, this.#lookAtAll);\n      bell = this.#layout.bell(this.#row);\n",
    foundBy: "two orders are canceled, steps of both listen on one thread",
  },
  {
    name: "the wait is for any bell after the one it finds",
    file: LAYOUT,
    from: "Atomics.waitAsync(this.#words, this.#at(row, BELL), bell)",
    to: "Atomics.waitAsync(this.#words, this.#at(row, BELL), this.bell(row))",
    foundBy: "two orders are canceled, steps of both listen on one thread",
  },
  {
    name: "entries of another lap are believed",
    file: LAYOUT,
    from: "if ((entry & LAP_MASK) !== lapOf(seen + n)) {",
    to: "if (entry === 0x7fffffff) {",
    foundBy: "two orders are canceled, steps of both listen on one thread",
  },
  {
    name: "what came while the log was read counts as read",
    file: LAYOUT,
    from: "      look(entry >>> LAP_BITS);\n    }\n    return head;",
    to: "      look(entry >>> LAP_BITS);\n    }\n    return Atomics.load(this.#words, HEAD);",
    foundBy: "two orders are canceled, steps of both listen on one thread",
  },
  {
    name: "a step that fails second wakes nobody",
    file: SERVE,
    from: 'if (!layout.cancel(slot, "sibling_failed")) layout.ring(slot);',
    to: 'layout.cancel(slot, "sibling_failed");',
    foundBy: "a canceler stalls for ever, another step fails too",
  },
  {
    name: "the main thread wakes nobody where it cancels second",
    file: RUN,
    from: 'if (!board.cancel(this.#slot, cause) && cause !== "sibling_failed") board.ring(this.#slot);',
    to: "board.cancel(this.#slot, cause);",
    foundBy: "a canceler stalls for ever, the main thread cancels too",
  },
  {
    name: "a step cancels its order after its outcome was posted",
    file: SERVE,
    from: "cancelSiblings(context.slot);\n    context.span",
    to: "setImmediate(() => setImmediate(() => cancelSiblings(context.slot)));\n    context.span",
    foundBy: "a slot is given back and taken again while its last order's cancelers go on",
  },
  {
    name: "a step is counted as ended after its outcome was posted",
    file: SERVE,
    from: "    layout.countEnd(row);\n",
    to: "    setImmediate(() => setImmediate(() => layout.countEnd(row)));\n",
    foundBy: "a step that failed dies or its thread does",
  },
  {
    name: "a thread acknowledges before its steps have stopped",
    file: WATCH,
    from: "setImmediate(() => setImmediate(() => this.#layout.acknowledge(this.#row, head)))",
    to: "this.#layout.acknowledge(this.#row, head)",
    foundBy: "a thread that has acknowledged a cancel has ended its steps",
  },
  {
    name: "a row's owner goes first",
    file: LAYOUT,
    from: "for (let field = BELL; field >= OWNER; field--)",
    to: "for (let field = OWNER; field <= BELL; field++)",
    foundBy: "a thread dies and its replacement claims a row",
  },
  {
    name: "what a dead thread had counted is lost",
    file: TRACKER,
    from: "    this.#layout.settleRow(row);\n",
    to: "",
    foundBy: "a thread dies and its replacement claims a row",
  },
  {
    name: "a slot comes back with its last cause",
    file: BOARD,
    from: "    this.#layout.clear(slot);\n",
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
    from: "      next.subscription?.leave();\n",
    to: "",
  },
  {
    name: "a canceled waiter keeps its place",
    file: CAPACITY,
    from: "        this.#unlink(waiter);\n        reject",
    to: "        reject",
  },
  {
    name: "who comes canceled may have a free permit",
    file: CAPACITY,
    from: "    if (scope?.cause !== undefined) return Promise.reject(new Canceled(scope.cause));\n",
    to: "",
  },
  {
    name: "a newcomer overtakes those who wait",
    file: CAPACITY,
    from: "if (this.#waiting > 0 || this.#inUse >= this.#limit)",
    to: "if (this.#inUse >= this.#limit)",
  },
];
