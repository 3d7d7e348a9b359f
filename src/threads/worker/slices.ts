import { monotonicMs } from "../clock.ts";
import { TASK_STRIDE, type TaskMessage } from "../protocol.ts";

// How long tasks are started in one turn of the event loop: two milliseconds delay a task of another group by less than its own way here.
const SLICE_MS = 2;
// A turn this long had tasks that computed in microtasks, whose end nobody sees within it: half as many are started in the next one.
const LONG_TURN_MS = 4 * SLICE_MS;
const MOST_STARTS = 64;

/** A message with tasks that have not all been started. */
interface Burst {
  readonly message: TaskMessage;
  at: number;
}

/**
 * Starts the tasks of messages in slices, after which the loop turns: outcomes leave, timers fire. Messages take turns, a new one first,
 * but each slice begins with the oldest: neither a short message nor a long one is kept waiting by others.
 */
export class Slices {
  readonly #start: (message: TaskMessage, at: number) => number;
  // As in `Outbox`.
  readonly #setImmediate = setImmediate;
  /** In the order in which they came. */
  readonly #bursts: Burst[] = [];
  /** Whose turn it is: a new one's, then from there back to the oldest, and round; -1 for the newest. */
  #turn = -1;
  #spentMs = 0;
  /** This turn's slice is over. */
  #over = false;
  /** How many may start in one slice: fewer while turns are long. */
  #mostStarts = MOST_STARTS;

  /** `start` starts the task at this place of a message and returns when it began, on the clock of `monotonicMs`. It must not throw. */
  constructor(start: (message: TaskMessage, at: number) => number) {
    this.#start = start;
  }

  add(message: TaskMessage): void {
    this.#turn = this.#bursts.push({ message, at: 0 }) - 1;
    if (!this.#over) this.#run(this.#startNext());
  }

  #run(beganMs: number): void {
    let starts = 1;
    for (let nowMs = beganMs; this.#bursts.length > 0; starts++) {
      // One of the oldest and one of another, however long turns are: else only the oldest would ever go on.
      if (starts >= Math.max(this.#mostStarts, Math.min(2, this.#bursts.length)) || this.#spentMs + nowMs - beganMs >= SLICE_MS) break;
      nowMs = this.#startNext();
    }
    // The last start may have computed for long.
    this.#spentMs += monotonicMs() - beganMs;
    if (this.#spentMs >= SLICE_MS || this.#bursts.length > 0) this.#endSlice(beganMs, starts);
  }

  #startNext(): number {
    if (this.#turn < 0) this.#turn = this.#bursts.length - 1;
    return this.#startOf(this.#turn--);
  }

  #startOf(n: number): number {
    const burst = this.#bursts[n] as Burst;
    const { message, at } = burst;
    burst.at = at + TASK_STRIDE;
    if (burst.at >= message.length) {
      this.#bursts.splice(n, 1);
      if (n < this.#turn) this.#turn--;
    }
    return this.#start(message, at);
  }

  #endSlice(beganMs: number, starts: number): void {
    this.#over = true;
    this.#setImmediate(() => {
      this.#over = false;
      this.#spentMs = 0;
      this.#mostStarts = monotonicMs() - beganMs > LONG_TURN_MS ? Math.max(1, starts >> 1) : Math.min(MOST_STARTS, this.#mostStarts * 2);
      if (this.#bursts.length > 0) this.#run(this.#startOf(0));
    });
  }
}
