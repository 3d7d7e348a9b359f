import { FIRES_SLOWLY, MAY_FIRE, NO_TIMER } from "./control-words.ts";
import type { SharedControl } from "./shared-control.ts";

interface Armed {
  readonly dueMs: number;
  readonly run: () => void;
  readonly isSlow: boolean;
}

/** The timers of the main thread, on the clock of the schedule: it decides when the next one fires, and nothing else moves that clock. */
export class Timers {
  readonly #control: SharedControl;
  /** In the order in which they fire. */
  #armed: Armed[] = [];

  constructor(control: SharedControl) {
    this.#control = control;
  }

  /** In the place of the global ones, which then are slow. */
  install(): void {
    globalThis.setTimeout = ((run: () => void, ms: number) => {
      const stop = this.arm(ms, true, run);
      const timer = { stop, unref: () => timer };
      return timer;
    }) as unknown as typeof setTimeout;
    globalThis.clearTimeout = ((timer?: { stop(): void }) => timer?.stop()) as unknown as typeof clearTimeout;
  }

  /** `isSlow`: it does not fire before whoever was killed has had the time to die. Returns how to stop it. */
  arm(delayMs: number, isSlow: boolean, run: () => void): () => void {
    const timer: Armed = { dueMs: this.#control.clockMs + delayMs, run, isSlow };
    const at = this.#armed.findIndex(({ dueMs }) => dueMs > timer.dueMs);
    this.#armed.splice(at === -1 ? this.#armed.length : at, 0, timer);
    this.#changed();
    return () => {
      this.#armed = this.#armed.filter((each) => each !== timer);
      this.#changed();
    };
  }

  fireNext(): void {
    const timer = this.#armed.shift();
    this.#changed();
    if (timer === undefined) return;
    this.#control.clockMs = Math.max(this.#control.clockMs, timer.dueMs);
    timer.run();
  }

  /** For the next schedule. */
  reset(): void {
    this.#armed = [];
    this.#changed();
  }

  #changed(): void {
    const [next] = this.#armed;
    this.#control.nextTimer = next === undefined ? NO_TIMER : next.isSlow ? FIRES_SLOWLY : MAY_FIRE;
  }
}
