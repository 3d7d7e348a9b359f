/** Moments just behind or just before a commit, as they can be seen from outside. */
export const MOMENTS = [
  // An attempt is accepted: its first call has come.
  "called",
  // A failed attempt is stored: its first undo has come.
  "undoing",
  // An answer is stored: it is here.
  "answered",
  // An event is taken from the outbox; its delivery is not stored.
  "delivering",
  // An operator asks to settle.
  "settling",
  // A backup is being written.
  "backing up",
  // The journal's log grows: within a commit.
  "writing",
] as const;

export type Moment = (typeof MOMENTS)[number];

/** Tells whoever waits for the next moment of a kind, in the very turn of the event loop in which it comes. */
export class Moments {
  readonly #waiting = new Map<Moment, () => void>();

  /** Calls `work` once, `count` moments from now. */
  on(moment: Moment, count: number, work: () => void): void {
    let left = count;
    this.#waiting.set(moment, () => {
      if (--left > 0) return;
      this.#waiting.delete(moment);
      work();
    });
  }

  off(moment: Moment): void {
    this.#waiting.delete(moment);
  }

  is(moment: Moment): void {
    this.#waiting.get(moment)?.();
  }
}
