import { MAX_TIMERS } from "./control-words.ts";
import type { SharedControl } from "./shared-control.ts";

/** When a timer may fire: at any moment; when whoever was killed has had the time to die; never in this scenario. */
export type Pace = "any" | "slow" | "never";

/** The timers of the main thread. A schedule decides when one fires, and nothing else does. */
export class Timers {
  readonly #control: SharedControl;
  readonly #armed = new Map<number, () => void>();

  constructor(control: SharedControl) {
    this.#control = control;
  }

  /** How many may still fire. */
  get size(): number {
    return this.#armed.size;
  }

  /** Returns how to stop it. */
  arm(run: () => void, pace: Pace): () => void {
    if (pace === "never") return () => {};
    let n = 0;
    while (this.#armed.has(n)) n++;
    if (n >= MAX_TIMERS) throw new Error(`more than ${MAX_TIMERS} timers`);
    this.#armed.set(n, run);
    this.#control.setTimer(n, true, pace === "slow");
    return () => {
      if (this.#armed.get(n) === run) this.#disarm(n);
    };
  }

  fire(n: number): void {
    const run = this.#armed.get(n);
    this.#disarm(n);
    run?.();
  }

  #disarm(n: number): void {
    this.#armed.delete(n);
    this.#control.setTimer(n, false);
  }
}
