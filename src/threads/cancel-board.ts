import { ENDED } from "./canceled.ts";
import { BELL, HEAD, type Layout, ROWS_USED, RUNNING } from "./layout.ts";

/**
 * Cancels a group of tasks on all threads, and notifies them. Any thread may have one of its own over the same layout; each method says
 * who may call it.
 *
 * A slot and its generation name a group. Whoever cancels first writes the group's word on the board, once. The log says which words to
 * look at; a thread's bell says that there is something new in the log.
 *
 * Invariants:
 * 1. A word gets a cause at most once a generation, by compareExchange: the first cause wins, whichever thread writes it.
 * 2. Whoever names a slot by an old generation reads no cause and writes nothing: the group is over. So a task that was given up, or
 *    that left work behind, never touches the group that has the slot now.
 * 3. A cancel is written in this order: word, log entry, head, bells. Whoever sees the head sees the words and entries below it, but
 *    perhaps no bell has changed for them yet.
 * 4. The entries at one place go from one generation to the next, whoever writes them. So a writer that stalled, however long, finds
 *    its place taken and tries the next one. A reader that finds an unexpected generation was overtaken by writers: it does not
 *    believe the log, and looks at all its own tasks instead.
 * 5. A canceler writes the word and then reads `running`; a thread that starts a task counts the task and then reads the word. One of
 *    the two sees the other, so a thread that runs nothing need not be woken.
 * 6. A thread reads its bell before it reads the log, and waits until the bell differs from that value: a notification in between ends
 *    the wait at once.
 */
export class CancelBoard {
  readonly #layout: Layout;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #causes: readonly string[];

  /** `causes`: all causes that a group can be canceled for, in the same order on every thread; `MAX_CAUSES` at most. */
  constructor(layout: Layout, causes: readonly string[]) {
    this.#layout = layout;
    this.#words = layout.words;
    this.#causes = causes;
  }

  /** Main thread, once, before any other thread has the layout. `head` is for tests of its wrap. */
  static create(layout: Layout, causes: readonly string[], head = 0): CancelBoard {
    const board = new CancelBoard(layout, causes);
    Atomics.store(board.#words, HEAD, head | 0);
    // Fills the log as if `head` cancels had been logged: zeros would pass for entries of the first generation.
    for (let n = head - layout.handle.logSize; n < head; n++) Atomics.store(board.#words, layout.logAt(n), board.#entry(0, n));
    return board;
  }

  /** The generation of the group that has the slot now, or will have it next: 0 to 2^28-1. Main thread. */
  generation(slot: number): number {
    return Atomics.load(this.#words, this.#layout.boardAt(slot)) >>> CAUSE_BITS;
  }

  /** Begins the slot's next generation, without a cause. Main thread, when every task of the group has settled. */
  renew(slot: number): void {
    Atomics.store(this.#words, this.#layout.boardAt(slot), (this.generation(slot) + 1) << CAUSE_BITS);
  }

  knows(cause: string): boolean {
    return this.#causes.includes(cause);
  }

  /** Cancels a group for a cause, unless it already is canceled or over. Returns whether this cause was the first. Any thread. */
  cancel(slot: number, generation: number, cause: string): boolean {
    const open = generation << CAUSE_BITS;
    const canceled = open | (this.#causes.indexOf(cause) + 1);
    if (Atomics.compareExchange(this.#words, this.#layout.boardAt(slot), open, canceled) !== open) return false;
    this.notify(slot);
    return true;
  }

  /** Why a group was canceled; undefined while it is not, and when it is over. Any thread. */
  causeOf(slot: number, generation: number): string | undefined {
    const word = Atomics.load(this.#words, this.#layout.boardAt(slot));
    return word >>> CAUSE_BITS === generation ? this.#causes[(word & CAUSE_MASK) - 1] : undefined;
  }

  /** As `causeOf`, and `ended` for a group that is over: what a task of it has to hear, however late it asks. Any thread. */
  heardBy(slot: number, generation: number): string | undefined {
    const word = Atomics.load(this.#words, this.#layout.boardAt(slot));
    return word >>> CAUSE_BITS === generation ? this.#causes[(word & CAUSE_MASK) - 1] : ENDED;
  }

  /**
   * Logs a slot whose word is set and wakes every thread that runs a task. Also for whoever finds that another thread has set the word:
   * that one may have died before it got here. Any thread.
   */
  notify(slot: number): void {
    this.#log(slot);
    // After the word, as below: a thread claims its row long before it counts a task.
    const rows = Atomics.load(this.#words, ROWS_USED);
    for (let row = 0; row < rows; row++) {
      // After the word (invariant 5). Waking a thread costs 5 to 8 us of processor time, whether or not it has anything to do.
      if (Atomics.load(this.#words, this.#layout.rowAt(row, RUNNING)) === 0) continue;
      const bell = this.#layout.rowAt(row, BELL);
      // First the value, then the wake-up: a thread that is about to wait finds the value changed, one that waits is woken.
      Atomics.add(this.#words, bell, 1);
      Atomics.notify(this.#words, bell);
    }
  }

  /**
   * Rejected: adding to the head to claim a place, and writing the entry afterwards. Readers then see a head with no entry below it,
   * and a writer that stalls in between writes into another generation of the log, where its entry may pass for another cancel's.
   */
  #log(slot: number): void {
    const words = this.#words;
    for (;;) {
      const head = Atomics.load(words, HEAD);
      const at = this.#layout.logAt(head);
      const old = Atomics.load(words, at);
      const isNext = generationOf(old) === this.#generation(head - this.#layout.handle.logSize);
      const isMine = isNext && Atomics.compareExchange(words, at, old, this.#entry(slot, head)) === old;
      // Also where the entry is another writer's: that one may have stalled, or died, before it moved the head.
      Atomics.compareExchange(words, HEAD, head, (head + 1) | 0);
      // If the head is elsewhere, this thread stalled for whole generations before it wrote, and no reader may look there for long.
      if (isMine && (Atomics.load(words, HEAD) - head - 1) >>> 0 < this.#layout.handle.logSize) return;
    }
  }

  /** How many cancels have been logged, as a wrapping Int32. Any thread. */
  head(): number {
    return Atomics.load(this.#words, HEAD);
  }

  /** Calls `look` for each slot logged since `seen`, or `lookAtAll` where that is overwritten. Returns the next `seen`. Worker. */
  readLog(seen: number, look: (slot: number) => void, lookAtAll: () => void): number {
    // The head first: what is logged while this reads is left for the next time, and its bell changes afterwards.
    const head = this.head();
    const behind = (head - seen) >>> 0;
    if (behind > this.#layout.handle.logSize) {
      lookAtAll();
      return head;
    }
    for (let n = seen; n !== head; n = (n + 1) | 0) {
      const entry = Atomics.load(this.#words, this.#layout.logAt(n));
      if (generationOf(entry) !== this.#generation(n)) {
        lookAtAll();
        return head;
      }
      look(entry >>> GENERATION_BITS);
    }
    return head;
  }

  /** The thread's bell as it is now, to be read before the log. Worker. */
  bell(row: number): number {
    return Atomics.load(this.#words, this.#layout.rowAt(row, BELL));
  }

  /** Resolves when the thread's bell is no longer `bell`; at once if that is already so. Worker. */
  async bellChanged(row: number, bell: number): Promise<void> {
    const wait = Atomics.waitAsync(this.#words, this.#layout.rowAt(row, BELL), bell);
    if (wait.async) await wait.value;
  }

  #generation(n: number): number {
    return (n >> this.#layout.logBits) & GENERATION_MASK;
  }

  #entry(slot: number, n: number): number {
    return (slot << GENERATION_BITS) | this.#generation(n);
  }
}

// The rest of a word is its generation: only a thread that stalls for exactly 2^28 groups in one slot takes one for another.
const CAUSE_BITS = 4;
const CAUSE_MASK = 2 ** CAUSE_BITS - 1;
/** A word has room for so many causes, and for none. */
export const MAX_CAUSES = CAUSE_MASK;

// Only neighboring generations must differ (invariant 4); a reader that is further behind does not look at entries at all.
const GENERATION_BITS = 8;
const GENERATION_MASK = 2 ** GENERATION_BITS - 1;

function generationOf(entry: number): number {
  return entry & GENERATION_MASK;
}
