import type { Clock } from "../threads/index.ts";

// Seldom enough to be no load: a try that meets a bug may have side effects each time.
const QUARANTINE_MS = 60_000;
// The bug is then not about single rows.
const MAX_ROWS = 64;

/** The rows whose last try met a bug. They are not tried again for up to a minute. Main thread only. */
export class Quarantine<Id> {
  readonly #clock: Clock;
  readonly #onRelease: () => void;
  readonly #ids = new Set<Id>();
  #stopTimer: (() => void) | undefined;

  /** `onRelease` is called whenever all rows have been released. */
  constructor(clock: Clock, onRelease: () => void) {
    this.#clock = clock;
    this.#onRelease = onRelease;
  }

  get ids(): ReadonlySet<Id> {
    return this.#ids;
  }

  get isFull(): boolean {
    return this.#ids.size >= MAX_ROWS;
  }

  add(id: Id): void {
    this.#ids.add(id);
    this.#stopTimer ??= this.#clock.after(QUARANTINE_MS, () => {
      this.#stopTimer = undefined;
      this.#ids.clear();
      this.#onRelease();
    });
  }

  /** Stops the timer. */
  close(): void {
    this.#stopTimer?.();
  }
}
