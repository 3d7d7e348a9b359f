import { threadId } from "node:worker_threads";
import { ACTED_LATE, AT_WORK, BEGAN, ENDED, ENDS, HEARD, LEFTOVER, type Notes, PASSED, THREAD } from "./notes.ts";

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
