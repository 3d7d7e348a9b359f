import { monotonicMs } from "./clock.ts";

/**
 * The one block of memory that all threads share: a SharedArrayBuffer of Int32 words. This file says where each word is; `CancelBoard`
 * (head, log, board, bell) and `Tracker` (the others) say what may be done with it.
 *
 * | words                  | field | writer                   | readers       | values                                       | reset                    |
 * |------------------------|-------|--------------------------|---------------|----------------------------------------------|--------------------------|
 * | 0                      | head  | anyone                   | anyone        | cancels ever logged, wraps at 2^32           | never                    |
 * | 1                      | used  | workers                  | anyone        | how many rows have ever been claimed: those behind are empty | never     |
 * | 16 .. +`logSize`       | log   | anyone                   | workers       | slot and generation of cancel n, at n mod `logSize` | overwritten `logSize` cancels later |
 * | then `slots` words     | board | anyone, once a group     | workers, main | generation of the slot, and 0 or 1 + index of the cause | by main, with the next generation |
 * | then `rows` x 16 words | row   | see below                | anyone        | one thread's counters, one cache line        | by main when the thread died |
 *
 * A slot is the place of one group of tasks on the board: tasks that are canceled together. The generation of a slot counts the groups that have had it; that of a log entry counts how often the log had been filled before it. A row:
 *
 * | word | field        | writer                      | meaning                                          |
 * |------|--------------|-----------------------------|--------------------------------------------------|
 * | 0    | owner        | worker claims, main frees   | 0 free, else the thread's id                     |
 * | 1    | running      | its thread                  | tasks started and not ended                      |
 * | 2    | started      | its thread                  | tasks ever started, wraps (`Tracker` unwraps)    |
 * | 3    | finished     | its thread                  | tasks ever ended, however, wraps                 |
 * | 4    | heartbeat    | its thread                  | when its event loop last turned for the timer: milliseconds since `epochMs`, wraps after 24 days |
 * | 5    | bell         | anyone                      | counts its notifications, wraps                  |
 * | 6    | received     | its thread                  | messages with tasks that it has received, wraps  |
 */
export class Layout {
  readonly handle: LayoutHandle;
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly logBits: number;
  readonly #boardStart: number;
  readonly #rowsStart: number;

  constructor(handle: LayoutHandle) {
    const { buffer, slots, logSize } = handle;
    this.handle = handle;
    this.words = new Int32Array(buffer);
    this.logBits = Math.log2(logSize);
    this.#boardStart = LOG_START + logSize;
    this.#rowsStart = wholeLines(this.#boardStart + slots);
  }

  /** Main thread. The words are all 0: `CancelBoard.create` makes a board of them. */
  static allocate({ slots, rows, logSize = LOG_SIZE }: LayoutSizes): Layout {
    const buffer = new SharedArrayBuffer(totalWords({ slots, rows, logSize }) * Int32Array.BYTES_PER_ELEMENT);
    return new Layout({ buffer, slots, rows, logSize, epochMs: monotonicMs() });
  }

  /** Where the entry of the n-th cancel is. */
  logAt(n: number): number {
    return LOG_START + (n & (this.handle.logSize - 1));
  }

  boardAt(slot: number): number {
    if (slot < 0 || slot >= this.handle.slots) throw new RangeError(`slot ${slot} is not on a board of ${this.handle.slots}`);
    return this.#boardStart + slot;
  }

  rowAt(row: number, field: number): number {
    return this.#rowsStart + row * WORDS_A_LINE + field;
  }
}

export interface LayoutSizes {
  /** Groups of tasks at one time. */
  readonly slots: number;
  /** Threads at one time, those included that cannot die. */
  readonly rows: number;
  /** Entries of the log, a power of two. */
  readonly logSize?: number;
}

/** What a thread needs to see the block; travels as `workerData`. */
export interface LayoutHandle extends Required<LayoutSizes> {
  readonly buffer: SharedArrayBuffer;
  readonly epochMs: number;
}

// 16 KiB; a burst of 4096 cancels in one turn is rarer than a stall that makes a full look cheaper anyway.
const LOG_SIZE = 4096;
const WORDS_A_LINE = 16; // 64 bytes: rows of two threads never share a cache line.

export const HEAD = 0;
export const ROWS_USED = 1;
const LOG_START = WORDS_A_LINE;

export const OWNER = 0;
export const RUNNING = 1;
export const STARTED = 2;
export const FINISHED = 3;
export const HEARTBEAT = 4;
export const BELL = 5;
export const RECEIVED = 6;

function totalWords({ slots, rows, logSize }: Required<LayoutSizes>): number {
  return wholeLines(LOG_START + logSize + slots) + rows * WORDS_A_LINE;
}

function wholeLines(words: number): number {
  return Math.ceil(words / WORDS_A_LINE) * WORDS_A_LINE;
}
