import type { CancelCause } from "../concurrency/cancel-cause.ts";
import type { Layout } from "./layout.ts";

/** Hands out the slots of the cancel board. Main thread only. */
export class CancelBoard {
  readonly #layout: Layout;
  readonly #free: number[];

  constructor(layout: Layout) {
    this.#layout = layout;
    // Highest first, so that pop() starts at slot 0 and a small load stays on few cache lines.
    this.#free = Array.from({ length: layout.handle.slots }, (_, n) => layout.handle.slots - 1 - n);
  }

  /** Slots given out and not back. */
  get inUse(): number {
    return this.#layout.handle.slots - this.#free.length;
  }

  /** A slot whose word is 0. Throws when the board is full: admission in front of it keeps that from happening. */
  take(): number {
    const slot = this.#free.pop();
    if (slot === undefined) throw new Error(`cancel board is full: ${this.#layout.handle.slots} runs are open`);
    return slot;
  }

  /** Cancels the slot's run on every thread. Returns whether this cause was the first. */
  cancel(slot: number, cause: CancelCause): boolean {
    return this.#layout.cancel(slot, cause);
  }

  /** Wakes the threads that run steps, for a slot that some other thread has canceled and may not have rung for yet. */
  ring(slot: number): void {
    this.#layout.ring(slot);
  }

  causeOf(slot: number): CancelCause | undefined {
    return this.#layout.causeOf(slot);
  }

  /** Only when every step of the run has settled; once for each `take`. */
  giveBack(slot: number): void {
    this.#layout.clear(slot);
    this.#free.push(slot);
  }
}
