import type { Mutant } from "./changed-sources.ts";

export const BOARD = "src/threads/cancel-board.ts";

/** Of words, log and bells. */
export const BOARD_MUTANTS: readonly Mutant[] = [
  {
    name: "the bell changes but nobody is woken",
    file: BOARD,
    from: "      Atomics.notify(this.#words, bell);\n",
    to: "",
    foundBy: "a task fails, the main thread cancels, a task listens",
  },
  {
    name: "threads are woken before their bell has changed",
    file: BOARD,
    from: "      Atomics.add(this.#words, bell, 1);\n      Atomics.notify(this.#words, bell);\n",
    to: "      Atomics.notify(this.#words, bell);\n      Atomics.add(this.#words, bell, 1);\n",
    foundBy: "two groups are canceled, tasks of both listen on one thread",
  },
  {
    name: "threads are woken before the word is set",
    file: BOARD,
    from: "    if (Atomics.compareExchange(this.#words, this.#layout.boardAt(slot), open, canceled) !== open) return false;\n    this.notify(slot);\n    return true;\n",
    to: "    this.notify(slot);\n    return Atomics.compareExchange(this.#words, this.#layout.boardAt(slot), open, canceled) === open;\n",
    foundBy: "two groups are canceled, tasks of both listen on one thread",
  },
  {
    name: "threads are woken before the cancel is logged",
    file: BOARD,
    from: "    this.#log(slot);\n",
    to: "    setImmediate(() => this.#log(slot));\n",
    foundBy: "two groups are canceled, tasks of both listen on one thread",
  },
  {
    name: "two writers may write to one place",
    file: BOARD,
    from: "Atomics.compareExchange(words, at, old, this.#entry(slot, head)) === old;",
    to: "Atomics.exchange(words, at, this.#entry(slot, head)) === old;",
    foundBy: "two groups are canceled, tasks of both listen on one thread",
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
    foundBy: "a canceler stalls for ever, another task fails too",
  },
  {
    name: "the last cause wins",
    file: BOARD,
    from: "Atomics.compareExchange(this.#words, this.#layout.boardAt(slot), open, canceled) !== open",
    to: "Atomics.exchange(this.#words, this.#layout.boardAt(slot), canceled) !== open",
    foundBy: "a task fails, the main thread cancels, a task listens",
  },
  {
    name: "the wait is for any bell after the one it finds",
    file: BOARD,
    from: "this.#layout.rowAt(row, BELL), bell)",
    to: "this.#layout.rowAt(row, BELL), this.bell(row))",
    foundBy: "two groups are canceled, tasks of both listen on one thread",
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
    foundBy: "two groups are canceled, tasks of both listen on one thread",
  },
  {
    name: "a task hears the cancel of whichever group has its slot",
    file: BOARD,
    from: "return word >>> CAUSE_BITS === generation ? this.#causes[(word & CAUSE_MASK) - 1] : ENDED;",
    to: "return this.#causes[(word & CAUSE_MASK) - 1];",
    foundBy: "a task looks after it was given up",
  },
];
