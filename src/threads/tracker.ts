import { monotonicMs } from "./clock.ts";
import { FINISHED, HEARTBEAT, type Layout, OWNER, RECEIVED, ROWS_USED, RUNNING, STARTED } from "./layout.ts";

/** How often a thread writes its heartbeat, a cheap store: it may miss some before anybody suspects it. */
export const BEAT_EVERY_MS = 100;

export interface Totals {
  readonly running: number;
  readonly started: number;
  readonly finished: number;
}

export interface ThreadCounts extends Totals {
  /** How long ago the thread's event loop last turned for its timer, at least 0. Grows while a task computes. */
  readonly heartbeatAgeMs: number;
}

/**
 * Counts what runs and ever ran: each thread in a row of its own; the main thread adds the rows up. Any thread may have a tracker of its
 * own over the same layout; each method says who may call it.
 *
 * Invariants:
 * 1. While its thread lives only that thread writes a row's counters; afterwards only the main thread does.
 * 2. started = running + finished, in every row, whenever its thread is between two tasks.
 * 3. A task has been counted as ended before its outcome is posted: a settled task is never counted as running.
 * 4. A word wraps at 2^32; the main thread counts on, exact up to 2^53. For that it must read each row once in 2^32 tasks, three days of
 *    a thread that does nothing else: see `ProgressWatch`.
 */
export class Tracker {
  readonly #layout: Layout;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #known: Known[];
  /** Tasks of threads that are gone. Those that still ran count as finished. */
  #departed = 0;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#words = layout.words;
    this.#known = Array.from({ length: layout.handle.rows }, nothing);
  }

  /** Takes a free row for this thread and returns its number. Throws when all are taken. Worker, once. */
  claim(threadId: number): number {
    for (let row = 0; row < this.#layout.handle.rows; row++) {
      // Before the claim: a thread may die right behind it, and its row must be found.
      for (let used = this.#used(); used <= row; used = this.#used()) Atomics.compareExchange(this.#words, ROWS_USED, used, row + 1);
      if (Atomics.compareExchange(this.#words, this.#layout.rowAt(row, OWNER), 0, threadId) !== 0) continue;
      this.beat(row);
      return row;
    }
    throw new Error(`no free tracker row for thread ${threadId}: all ${this.#layout.handle.rows} are taken`);
  }

  /** A message with tasks has arrived: before the first of them starts. Worker. */
  countReceived(row: number): void {
    Atomics.add(this.#words, this.#layout.rowAt(row, RECEIVED), 1);
  }

  /** Whether the n-th message to a thread (from 1) has arrived there. Exact once no line of the thread's code runs any more. Main thread. */
  hasReceived(row: number, n: number): boolean {
    return ((this.#load(row, RECEIVED) - n) | 0) >= 0;
  }

  /** A task starts: before it looks whether it was canceled (`CancelBoard`, invariant 5). Worker. */
  countStart(row: number): void {
    // `running` first here, `finished` first below: at every moment started <= running + finished, even where a thread dies in between.
    Atomics.add(this.#words, this.#layout.rowAt(row, RUNNING), 1);
    Atomics.add(this.#words, this.#layout.rowAt(row, STARTED), 1);
  }

  /** A task has ended; before its outcome is posted. Worker. */
  countEnd(row: number): void {
    Atomics.add(this.#words, this.#layout.rowAt(row, FINISHED), 1);
    Atomics.sub(this.#words, this.#layout.rowAt(row, RUNNING), 1);
  }

  /** The event loop of this thread turns. Worker, every `BEAT_EVERY_MS`. */
  beat(row: number): void {
    Atomics.store(this.#words, this.#layout.rowAt(row, HEARTBEAT), (monotonicMs() - this.#layout.handle.epochMs) | 0);
  }

  /** Whether a row moves shows in this: it differs after each turn of the loop that the timer saw, each start and each end. Any thread. */
  signOfLife(row: number): string {
    return `${this.#load(row, HEARTBEAT)} ${this.#load(row, STARTED)} ${this.#load(row, FINISHED)}`;
  }

  /** The row of a thread, undefined before it has claimed one. Main thread. */
  rowOf(threadId: number): number | undefined {
    for (let row = 0; row < this.#used(); row++) if (this.#load(row, OWNER) === threadId) return row;
    return undefined;
  }

  /** Main thread. */
  totals(): Totals {
    let running = 0;
    let started = this.#departed;
    let finished = this.#departed;
    for (let row = 0; row < this.#used(); row++) {
      if (this.#load(row, OWNER) === 0) continue;
      const counts = this.read(row);
      running += counts.running;
      started += counts.started;
      finished += counts.finished;
    }
    return { running, started, finished };
  }

  /** The counters of one thread. Main thread. */
  read(row: number): ThreadCounts {
    const nowMs = (monotonicMs() - this.#layout.handle.epochMs) | 0;
    const known = this.#known[row] as Known;
    // In the reverse of the order in which a thread counts, so that no task is missed that starts or ends meanwhile.
    known.started = unwrapped(known.started, this.#load(row, STARTED));
    const running = this.#load(row, RUNNING);
    known.finished = unwrapped(known.finished, this.#load(row, FINISHED));
    const { started, finished, givenUp, departed } = known;
    const heartbeatAgeMs = Math.max(0, (nowMs - this.#load(row, HEARTBEAT)) | 0);
    if (departed) return { running: 0, started, finished: started, heartbeatAgeMs };
    // A task that ends between these readings may be counted twice: no more have finished than had started.
    const ended = Math.min(started, finished + Math.min(running, givenUp));
    return { running: Math.max(0, running - givenUp), started, finished: ended, heartbeatAgeMs };
  }

  /** A task that its thread still runs has settled: it counts as finished from now on. Main thread. */
  giveUp(row: number): void {
    (this.#known[row] as Known).givenUp++;
  }

  /** A task that was given up has ended after all, and its thread has counted that. Main thread. */
  endedLate(row: number): void {
    (this.#known[row] as Known).givenUp--;
  }

  /** All tasks of a thread that has been killed have settled, though it may not have died yet: none of them counts as running. Main thread. */
  depart(row: number): void {
    (this.#known[row] as Known).departed = true;
  }

  /** Empties a row after the `exit` event of its thread, never before: until then the thread may still write. Main thread. */
  release(row: number): void {
    this.#departed += this.read(row).started;
    this.#known[row] = nothing();
    // The owner, word 0, goes last: from then on a starting thread may claim the row.
    for (let field = RECEIVED; field >= OWNER; field--) Atomics.store(this.#words, this.#layout.rowAt(row, field), 0);
  }

  #used(): number {
    return Atomics.load(this.#words, ROWS_USED);
  }

  #load(row: number, field: number): number {
    return Atomics.load(this.#words, this.#layout.rowAt(row, field));
  }
}

/** What the main thread knows of a row: its counters as last read, without their wraps, and the tasks in it that were given up. */
interface Known {
  started: number;
  finished: number;
  givenUp: number;
  departed: boolean;
}

function nothing(): Known {
  return { started: 0, finished: 0, givenUp: 0, departed: false };
}

/** The first number from `known` on whose low 32 bits are those of `word`. */
function unwrapped(known: number, word: number): number {
  return known + ((word - (known | 0)) >>> 0);
}
