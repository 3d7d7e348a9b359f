import { CANCEL_CAUSES, type CancelCause } from "../concurrency/cancel-cause.ts";
import { monotonicMs } from "../concurrency/clock.ts";

/**
 * The one block of memory that all threads share: a SharedArrayBuffer of Int32 words.
 *
 * | words                  | field     | writer            | readers       | values                                  | reset                         |
 * |------------------------|-----------|-------------------|---------------|-----------------------------------------|-------------------------------|
 * | 0                      | head      | anyone            | anyone        | cancels ever logged, wraps at 2^32      | never                         |
 * | 16 .. +LOG_SIZE        | log       | anyone            | workers       | slot and lap of cancel n at n mod LOG_SIZE | overwritten a lap later    |
 * | then `slots` words     | word      | anyone, once a run | workers, main | 0 running, else 1 + index of the cause  | by main when the run is over  |
 * | then `rows` x 16 words | row       | see below         | anyone        | one thread's books, one cache line      | by main when the thread died  |
 *
 * A row:
 *
 * | word | field     | writer                          | meaning                                                   |
 * |------|-----------|---------------------------------|-----------------------------------------------------------|
 * | 0    | owner     | worker claims, main frees       | 0 free, else the thread's id                              |
 * | 1    | running   | its thread                      | steps started and not ended                               |
 * | 2    | started   | its thread                      | steps ever started, wraps (`Tracker` has what is lost)    |
 * | 3    | finished  | its thread                      | steps ever ended, however, wraps                          |
 * | 4    | heartbeat | its thread                      | milliseconds since `epochMs`, wraps after 24 days         |
 * | 5    | seen      | its thread                      | the `head` up to which it has acted on the log            |
 * | 6    | bell      | anyone                          | counts the times it was rung, wraps                       |
 *
 * Invariants:
 * 1. A word leaves 0 once a run, by compareExchange: the first cause wins, whichever thread writes it.
 * 2. A slot is given back only when every step of its run has settled, and a step cancels its run before its own outcome
 *    is posted: so no word is read or written for a wrong run.
 * 3. Written in this order: word, head, log entry, then the bells. Whoever sees the head sees the words of all cancels
 *    below it, but not always their entries: their writers may be about to write them, or have died before they could.
 * 4. An entry carries the lap of its cancel: how often the log had been full. A reader that finds another lap, because the entry
 *    is not written yet or was overwritten already, does not believe the log and looks at all its own steps instead.
 * 5. started = running + finished, in every row, whenever its thread is between two steps.
 * 6. `running` falls and `finished` rises before the outcome is posted: an answered step is never counted as running.
 * 7. While its thread lives only the thread writes words 1 to 5 of a row; afterwards only main does.
 * 8. A canceler writes the word and then reads `running`; a thread that starts a step counts it and then reads the word. One of
 *    the two sees the other, so the bell of a thread that runs nothing need not be rung.
 */
const LOG_BITS = 12;
export const LOG_SIZE = 2 ** LOG_BITS; // 16 KiB; a burst of 4096 cancels in one turn is rarer than a stall that makes a full look cheaper anyway.
const LOG_MASK = LOG_SIZE - 1;
// Two laps must differ that a reader could take for each other: neighbours do, and one that is further behind does not
// look at entries at all.
const LAP_BITS = 8;
const LAP_MASK = 2 ** LAP_BITS - 1;
/** What is left of an entry's 32 bits. */
const MAX_SLOTS = 2 ** (32 - LAP_BITS);
const WORDS_A_LINE = 16; // 64 bytes: rows of two threads never share a cache line.
const HEAD = 0;
const LOG_START = WORDS_A_LINE;
const BOARD_START = LOG_START + LOG_SIZE;

const OWNER = 0;
const RUNNING = 1;
const STARTED = 2;
const FINISHED = 3;
const HEARTBEAT = 4;
const SEEN = 5;
const BELL = 6;

/** What a thread needs to see the block; travels as `workerData`. */
export interface LayoutHandle {
  readonly buffer: SharedArrayBuffer;
  readonly slots: number;
  readonly rows: number;
  readonly epochMs: number;
}

/** Typed access to the block. Any thread may make one from the same handle; who may call what is said at each method. */
export class Layout {
  readonly handle: LayoutHandle;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #rowsStart: number;

  constructor(handle: LayoutHandle) {
    this.handle = handle;
    this.#words = new Int32Array(handle.buffer);
    this.#rowsStart = rowsStart(handle.slots);
    if (this.#words.length !== totalWords(handle.slots, handle.rows)) {
      throw new RangeError(`shared block has ${this.#words.length} words, ${totalWords(handle.slots, handle.rows)} are needed`);
    }
  }

  /** Main thread. `slots`: runs at one time; `rows`: threads at one time, dying ones included. `head` is for tests of its wrap. */
  static allocate(slots: number, rows: number, head = 0): Layout {
    if (slots > MAX_SLOTS) throw new RangeError(`${slots} slots do not fit into a log entry, which has room for ${MAX_SLOTS}`);
    const buffer = new SharedArrayBuffer(totalWords(slots, rows) * Int32Array.BYTES_PER_ELEMENT);
    const layout = new Layout({ buffer, slots, rows, epochMs: monotonicMs() });
    Atomics.store(layout.#words, HEAD, head | 0);
    // As if left from the lap before: zeros would pass for entries of the first.
    layout.#words.fill(entryOf(0, head - LOG_SIZE), LOG_START, BOARD_START);
    return layout;
  }

  /** How many cancels have been logged, as a wrapping Int32. Any thread. */
  head(): number {
    return Atomics.load(this.#words, HEAD);
  }

  /**
   * Cancels a slot for a cause, unless it already is. Returns whether this was the first cause. Main thread, or the thread
   * of a step of that run that has not posted its outcome.
   */
  cancel(slot: number, cause: CancelCause): boolean {
    const at = this.#wordAt(slot);
    if (Atomics.compareExchange(this.#words, at, 0, CANCEL_CAUSES.indexOf(cause) + 1) !== 0) return false;
    this.ring(slot);
    return true;
  }

  /**
   * Logs a slot whose word is set and wakes every thread that runs a step. A part of `cancel`; by itself for who finds the word set
   * by another thread, which may have died or lost its processor before it came to this.
   */
  ring(slot: number): void {
    // Claims a place of its own among writers on other threads. The word is in place: a reader that sees this head
    // before the entry below finds the lap before in it, looks at all its words, and this one is among them. Swapped,
    // two writers would need the same place.
    const n = Atomics.add(this.#words, HEAD, 1);
    Atomics.store(this.#words, LOG_START + (n & LOG_MASK), entryOf(slot, n));
    for (let row = 0; row < this.handle.rows; row++) {
      // After the word (invariant 8). Waking a thread costs 5 to 8 us of processor time, whether or not it has anything to do.
      if (Atomics.load(this.#words, this.#at(row, RUNNING)) === 0) continue;
      // A thread that has read the old bell either waits already, and is woken here, or will ask to wait for a bell that is no longer
      // so, and `waitAsync` returns at once. No wake-up can be lost in between.
      Atomics.add(this.#words, this.#at(row, BELL), 1);
      Atomics.notify(this.#words, this.#at(row, BELL));
    }
  }

  /** The cause that a slot was canceled for, undefined while it runs. Any thread that has a step of that run. */
  causeOf(slot: number): CancelCause | undefined {
    const word = Atomics.load(this.#words, this.#wordAt(slot));
    return word === 0 ? undefined : CANCEL_CAUSES[word - 1];
  }

  /** Main thread, when every step of the run has settled (invariant 2). */
  clear(slot: number): void {
    Atomics.store(this.#words, this.#wordAt(slot), 0);
  }

  /**
   * Worker: reads the log from `seen` and calls `look` for each slot in it, or `lookAtAll` when it is too far
   * behind or meets an entry that is not there. Returns the head it has acted on; pass it as `seen` next time.
   */
  readLog(seen: number, look: (slot: number) => void, lookAtAll: () => void): number {
    const head = Atomics.load(this.#words, HEAD);
    const behind = (head - seen) >>> 0;
    if (behind > LOG_SIZE) {
      lookAtAll();
      return head;
    }
    for (let n = 0; n < behind; n++) {
      const entry = Atomics.load(this.#words, LOG_START + ((seen + n) & LOG_MASK));
      if ((entry & LAP_MASK) !== lapOf(seen + n)) {
        lookAtAll();
        return head;
      }
      look(entry >>> LAP_BITS);
    }
    return head;
  }

  /** Worker: its bell, to be read before the log is. */
  bell(row: number): number {
    return Atomics.load(this.#words, this.#at(row, BELL));
  }

  /** Worker: resolves when its bell is no longer as it was; at once if that is already so. */
  async rung(row: number, bell: number): Promise<void> {
    const wait = Atomics.waitAsync(this.#words, this.#at(row, BELL), bell);
    if (wait.async) await wait.value;
  }

  /** Worker, once: takes a free row and returns its number. Throws when all are taken. */
  claimRow(threadId: number): number {
    for (let row = 0; row < this.handle.rows; row++) {
      if (Atomics.compareExchange(this.#words, this.#at(row, OWNER), 0, threadId) === 0) {
        this.beat(row);
        return row;
      }
    }
    throw new Error(`no free tracker row for thread ${threadId}: all ${this.handle.rows} are taken`);
  }

  /** Main thread: the row of a thread, undefined before it has claimed one. */
  rowOf(threadId: number): number | undefined {
    for (let row = 0; row < this.handle.rows; row++) {
      if (Atomics.load(this.#words, this.#at(row, OWNER)) === threadId) return row;
    }
    return undefined;
  }

  /** Worker: a step starts. */
  countStart(row: number): void {
    Atomics.add(this.#words, this.#at(row, RUNNING), 1);
    Atomics.add(this.#words, this.#at(row, STARTED), 1);
  }

  /** Worker: a step has ended; before its outcome is posted (invariant 6). */
  countEnd(row: number): void {
    Atomics.add(this.#words, this.#at(row, FINISHED), 1);
    Atomics.sub(this.#words, this.#at(row, RUNNING), 1);
  }

  /** Worker: says that it is alive. */
  beat(row: number): void {
    Atomics.store(this.#words, this.#at(row, HEARTBEAT), (monotonicMs() - this.handle.epochMs) | 0);
  }

  /** Any thread: when the row's thread last said so; only good for comparing with an earlier reading. */
  lastBeat(row: number): number {
    return Atomics.load(this.#words, this.#at(row, HEARTBEAT));
  }

  /** Worker: says up to which head it has acted on the log. */
  acknowledge(row: number, head: number): void {
    Atomics.store(this.#words, this.#at(row, SEEN), head);
  }

  /** Any thread: whether the thread of this row has acted on the log up to `head`. */
  hasSeen(row: number, head: number): boolean {
    return ((Atomics.load(this.#words, this.#at(row, SEEN)) - head) | 0) >= 0;
  }

  /** Any thread: a row's books as they stand in its words. `heartbeatAgeMs` is at least 0. */
  readRow(row: number): RowCounts {
    const now = (monotonicMs() - this.handle.epochMs) | 0;
    return {
      running: Atomics.load(this.#words, this.#at(row, RUNNING)),
      started: Atomics.load(this.#words, this.#at(row, STARTED)),
      finished: Atomics.load(this.#words, this.#at(row, FINISHED)),
      heartbeatAgeMs: Math.max(0, (now - Atomics.load(this.#words, this.#at(row, HEARTBEAT))) | 0),
    };
  }

  /** Main thread, after the row's thread is gone (its `exit` event): empties the row, whose owner goes last. */
  settleRow(row: number): void {
    for (let field = BELL; field >= OWNER; field--) Atomics.store(this.#words, this.#at(row, field), 0);
  }

  /** Main thread: rows that a living or dying thread has claimed. */
  *claimedRows(): Generator<number> {
    for (let row = 0; row < this.handle.rows; row++) {
      if (Atomics.load(this.#words, this.#at(row, OWNER)) !== 0) yield row;
    }
  }

  #wordAt(slot: number): number {
    if (slot < 0 || slot >= this.handle.slots) throw new RangeError(`slot ${slot} is not on a board of ${this.handle.slots}`);
    return BOARD_START + slot;
  }

  #at(row: number, field: number): number {
    return this.#rowsStart + row * WORDS_A_LINE + field;
  }
}

export interface RowCounts {
  readonly running: number;
  readonly started: number;
  readonly finished: number;
  readonly heartbeatAgeMs: number;
}

function lapOf(n: number): number {
  return (n >> LOG_BITS) & LAP_MASK;
}

function entryOf(slot: number, n: number): number {
  return (slot << LAP_BITS) | lapOf(n);
}

function rowsStart(slots: number): number {
  return Math.ceil((BOARD_START + slots) / WORDS_A_LINE) * WORDS_A_LINE;
}

function totalWords(slots: number, rows: number): number {
  return rowsStart(slots) + rows * WORDS_A_LINE;
}
