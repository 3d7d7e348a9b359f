import { DUE, HISTORY, MAX_WAITERS, NONE, WAITERS, WAITS } from "./control-words.ts";
import { mix } from "./seen-states.ts";

/** Who waits by `Atomics.waitAsync`, modelled. */
export class Waiters {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** As `Atomics.waitAsync`, after its comparison: returns the waiter's number. */
  add(thread: number, address: number): number {
    for (let n = 0; n < MAX_WAITERS; n++) {
      const at = waiterAt(thread, n);
      if (this.#words[at + 1] !== NONE) continue;
      this.#words[at] = address;
      this.#words[at + 1] = WAITS;
      return n;
    }
    throw new Error(`thread ${thread} has more than ${MAX_WAITERS} asynchronous waiters`);
  }

  /** The number of a waiter that has been notified, which is taken off. */
  takeDue(thread: number): number {
    for (let n = 0; n < MAX_WAITERS; n++) {
      const at = waiterAt(thread, n);
      if (this.#words[at + 1] !== DUE) continue;
      this.#words[at + 1] = NONE;
      mix(this.#words, HISTORY + thread * 2, n);
      return n;
    }
    throw new Error(`thread ${thread} was woken for nothing`);
  }

  /** Whether a waiter of this thread has been notified. */
  hasDue(thread: number): boolean {
    for (let n = 0; n < MAX_WAITERS; n++) if (this.#words[waiterAt(thread, n) + 1] === DUE) return true;
    return false;
  }

  /** Notifies up to `count` waiters of this thread; returns how many. */
  notify(thread: number, address: number, count: number): number {
    let woken = 0;
    for (let n = 0; n < MAX_WAITERS && woken < count; n++) {
      const at = waiterAt(thread, n);
      if (this.#words[at + 1] !== WAITS || this.#words[at] !== address) continue;
      this.#words[at + 1] = DUE;
      woken++;
    }
    return woken;
  }
}

function waiterAt(thread: number, n: number): number {
  return WAITERS + (thread * MAX_WAITERS + n) * 2;
}
