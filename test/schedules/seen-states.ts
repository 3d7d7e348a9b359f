import { type ControlMemory, EVENT, HISTORY, MAX_THREADS, PREEMPTIONS, STATES, STATUS, WAITERS } from "./control-words.ts";

/** A step of a hash (MurmurHash3's). */
function mixed(hash: number, value: number): number {
  let k = Math.imul(value, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const h = hash ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

/** Two words at `at` take in a value. */
export function mix(words: Int32Array, at: number, value: number): void {
  words[at] = mixed(words[at] as number, value);
  words[at + 1] = mixed(words[at + 1] as number, ~value);
}

/**
 * The states that were seen, by a hash of the memory under test, of what is due to whom, and of all that each thread has learned so far:
 * its own state follows from that. How a schedule goes on from a state that was seen after as few preemptions is known.
 */
export class SeenStates {
  readonly #words: Int32Array;
  readonly #known: Int32Array;
  #memory: Int32Array = new Int32Array(0);

  constructor({ words, known }: ControlMemory) {
    this.#words = words;
    this.#known = known;
  }

  /** The memory under test. */
  watch(memory: SharedArrayBuffer): void {
    this.#memory = new Int32Array(memory);
  }

  /** How many can be kept: a full table would be slow to search. */
  get limit(): number {
    return this.#known.length / 3 / 2;
  }

  /** Whether there were more than can be kept. */
  get isFull(): boolean {
    return (this.#words[STATES] as number) > this.limit;
  }

  /** Whether this state was seen after as few preemptions; from now on it was. */
  wasSeen(thread: number, goesOn: boolean): boolean {
    const words = this.#words;
    let a = thread * 2 + (goesOn ? 1 : 0);
    let b = ~a;
    for (let at = STATUS; at < HISTORY + MAX_THREADS * 4; at++) {
      if (at >= EVENT && at < WAITERS) continue;
      a = mixed(a, words[at] as number);
      b = mixed(b, ~(words[at] as number));
    }
    for (const word of this.#memory) {
      a = mixed(a, word);
      b = mixed(b, ~word);
    }
    const cost = (words[PREEMPTIONS] as number) + 1;
    const known = this.#known;
    const mask = known.length / 3 - 1;
    for (let n = a & mask; ; n = (n + 1) & mask) {
      const at = n * 3;
      const before = known[at + 2] as number;
      if (before !== 0 && (known[at] !== a || known[at + 1] !== b)) continue;
      if (before !== 0 && before <= cost) return true;
      if (before === 0) words[STATES] = (words[STATES] as number) + 1;
      known[at] = a;
      known[at + 1] = b;
      known[at + 2] = cost;
      return false;
    }
  }
}
