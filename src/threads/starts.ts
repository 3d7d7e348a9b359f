import { availableParallelism } from "node:os";

// A thread that dies sooner after it came up died of what it does at its start, and the next one will.
const YOUNG_MS = 1_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
// A file that cannot be loaded fails every time; an accident does not happen to so many threads in a row.
const HOPELESS_STARTS = 5;

/** How many threads load at one time, over all pools: more would only slow each other down until they seem to hang. Main thread only. */
export class StartLimit {
  readonly #limit = Math.max(2, availableParallelism());
  readonly #waiting = new Set<() => void>();
  #loading = 0;

  /** Whether a thread may start now; then call `ended` once. If not, `retry` is called when one may. */
  tryBegin(retry: () => void): boolean {
    if (this.#loading < this.#limit) {
      this.#loading++;
      return true;
    }
    this.#waiting.add(retry);
    return false;
  }

  ended(): void {
    this.#loading--;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const retry of waiting) retry();
  }
}

/** Exponential backoff for the threads of one pool that die young, one after the other. Main thread only. */
export class StartBackoff {
  #youngDeaths = 0;
  #failedStarts = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Several in a row have died before they were up. */
  get isHopeless(): boolean {
    return this.#failedStarts >= HOPELESS_STARTS;
  }

  get isPausing(): boolean {
    return this.#timer !== undefined;
  }

  cameUp(): void {
    this.#failedStarts = 0;
  }

  /**
   * Calls `start` when the next thread may start after one died that had been up for `upMs` (undefined: it never was) by a fault of its
   * own. The first death of a thread that had come up costs no pause: it may be an accident.
   */
  died(upMs: number | undefined, start: () => void): void {
    if (upMs === undefined) this.#failedStarts++;
    this.#youngDeaths = upMs === undefined || upMs < YOUNG_MS ? this.#youngDeaths + 1 : 0;
    const steps = upMs === undefined ? this.#youngDeaths - 1 : this.#youngDeaths - 2;
    this.stop();
    if (steps < 0) start();
    else {
      const ended = (): void => {
        this.stop();
        start();
      };
      this.#timer = setTimeout(ended, Math.min(FIRST_PAUSE_MS * 2 ** steps, LONGEST_PAUSE_MS));
    }
  }

  /** Ends the pause; nobody is called. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
