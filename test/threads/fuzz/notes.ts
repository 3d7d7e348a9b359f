import { threadId } from "node:worker_threads";

/**
 * What tasks note of themselves in memory that all threads share, so that it can be compared with their outcomes: a thread that dies takes
 * everything else along. `WORDS` for each task, named by its number; behind them the list of deeds.
 */
export class Notes {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #tasks: number;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#tasks = (this.#words.length - DEEDS_WORDS) / WORDS;
  }

  static for(tasks: number): Notes {
    return new Notes(new SharedArrayBuffer((tasks * WORDS + DEEDS_WORDS) * Int32Array.BYTES_PER_ELEMENT));
  }

  /** How many tasks there is room for. */
  get tasks(): number {
    return this.#tasks;
  }

  get(task: number, word: Word): number {
    return Atomics.load(this.#words, task * WORDS + word);
  }

  set(task: number, word: Word, value: number): void {
    Atomics.store(this.#words, task * WORDS + word, value);
  }

  add(task: number, word: Word): void {
    Atomics.add(this.#words, task * WORDS + word, 1);
  }

  /** A hostile task is about to do what may cost the thread its life. */
  deed(task: number, threadId: number): void {
    const at = this.#tasks * WORDS;
    const n = Atomics.add(this.#words, at, 1);
    if (n >= MOST_DEEDS) throw new RangeError(`more than ${MOST_DEEDS} deeds`);
    Atomics.store(this.#words, at + 1 + 2 * n, task);
    Atomics.store(this.#words, at + 2 + 2 * n, threadId);
  }

  deeds(): { readonly task: number; readonly threadId: number }[] {
    const at = this.#tasks * WORDS;
    return Array.from({ length: Atomics.load(this.#words, at) }, (_, n) => ({
      task: Atomics.load(this.#words, at + 1 + 2 * n),
      threadId: Atomics.load(this.#words, at + 2 + 2 * n),
    }));
  }
}

const MOST_DEEDS = 10_000;
const DEEDS_WORDS = 1 + 2 * MOST_DEEDS;
const WORDS = 8;

/** How often it began. */
export const BEGAN = 0;
/** How its body ended: one of the `ENDS`. */
export const ENDED = 1;
/** The thread on which it began last. */
export const THREAD = 2;
/** What it left behind: `AT_WORK`, then `HEARD`. */
export const LEFTOVER = 3;
/** How often what it left behind passed a checkpoint although the task had ended before the event loop last turned. */
export const PASSED = 4;
/** How often it acted after its body's end. */
export const ACTED_LATE = 5;
export type Word = typeof BEGAN | typeof ENDED | typeof THREAD | typeof LEFTOVER | typeof PASSED | typeof ACTED_LATE;

/** Of `ENDED`. `stopped`: it threw what its cancel threw. */
export const ENDS = { not: 0, returned: 1, threw: 2, stopped: 3 } as const;
export const AT_WORK = 1;
export const HEARD = 2;

/** What every task of the fuzzer is given. */
export interface Work {
  /** Its number. */
  readonly n: number;
  /** How long, or how much, where its kind has use for it. */
  readonly ms: number;
}

/** The notes of one task, on its thread. */
export class MyNotes {
  readonly #notes: Notes;
  readonly #n: number;

  constructor(notes: Notes, n: number) {
    this.#notes = notes;
    this.#n = n;
    // An idempotent task begins anew. The thread before `BEGAN`: whoever sees that it began wants to know where.
    notes.set(n, ENDED, ENDS.not);
    notes.set(n, THREAD, threadId);
    notes.add(n, BEGAN);
  }

  /** For bodies that do not leave this to `noted`, right before their last act. */
  ends(how: keyof typeof ENDS): void {
    this.#notes.set(this.#n, ENDED, ENDS[how]);
  }

  get hasEnded(): boolean {
    return this.#notes.get(this.#n, ENDED) !== ENDS.not;
  }

  /** In every step of a body: none may come after its end. */
  acts(): void {
    if (this.hasEnded) this.#notes.add(this.#n, ACTED_LATE);
  }

  deed(): void {
    this.#notes.deed(this.#n, threadId);
  }

  leavesSomething(): void {
    this.#notes.set(this.#n, LEFTOVER, AT_WORK);
  }

  leftoverHeard(): void {
    this.#notes.set(this.#n, LEFTOVER, HEARD);
  }

  leftoverPassed(): void {
    this.#notes.add(this.#n, PASSED);
  }
}
