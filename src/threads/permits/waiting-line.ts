import type { CancelScope } from "../cancel-scope.ts";
import type { Subscription } from "../cancelable.ts";
import type { Canceled } from "../canceled.ts";
import { URGENCIES } from "./urgency.ts";

/** Somebody who waits for a `T`. */
export interface Waiter<T> {
  readonly resolve: (granted: T) => void;
  readonly reject: (error: Canceled) => void;
  readonly scope: CancelScope | undefined;
  readonly level: Level<T>;
  /** When it came, plus some time for each level of its urgency. The lowest goes first. */
  readonly countsFromMs: number;
  previous: Waiter<T> | undefined;
  next: Waiter<T> | undefined;
  subscription: Subscription | undefined;
}

/**
 * The waiters of one urgency. A linked list because a cancel takes a waiter out of the middle: with 10 000 waiting, a search
 * in an array for each of them would be quadratic exactly when a deadline cancels them all.
 */
interface Level<T> {
  readonly urgency: number;
  head: Waiter<T> | undefined;
  tail: Waiter<T> | undefined;
}

/** Waiters by urgency; within one urgency first come, first served. */
export class WaitingLine<T> {
  // A level is made when somebody first waits there. Mostly there is one.
  readonly #levels: Level<T>[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The level to give a waiter of this urgency, 0 (most) to 7. Throws RangeError for any other. */
  level(urgency: number): Level<T> {
    for (const level of this.#levels) if (level.urgency === urgency) return level;
    if (!Number.isInteger(urgency) || urgency < 0 || urgency >= URGENCIES) throw new RangeError(`urgency must be 0 to 7, not ${urgency}`);
    const level: Level<T> = { urgency, head: undefined, tail: undefined };
    this.#levels.push(level);
    this.#levels.sort((a, b) => a.urgency - b.urgency);
    return level;
  }

  /** The one that goes next. */
  first(): Waiter<T> | undefined {
    let first: Waiter<T> | undefined;
    for (const { head } of this.#levels) {
      if (head !== undefined && (first === undefined || head.countsFromMs < first.countsFromMs)) first = head;
    }
    return first;
  }

  /** Puts a waiter behind the last one of its level. */
  add(waiter: Waiter<T>): void {
    const { level } = waiter;
    waiter.previous = level.tail;
    if (level.tail === undefined) level.head = waiter;
    else level.tail.next = waiter;
    level.tail = waiter;
    this.#length++;
  }

  /** To be called once for each `add`. */
  remove({ level, previous, next }: Waiter<T>): void {
    if (previous === undefined) level.head = next;
    else previous.next = next;
    if (next === undefined) level.tail = previous;
    else next.previous = previous;
    this.#length--;
  }
}
