import { monotonicMs } from "../threads/index.ts";
import type { Journal } from "./journal.ts";

// NTP moves the wall clock by less between two looks where it slews. What moves it by more has set it.
const TOLERANCE_MS = 10_000;
// Long enough for somebody, or NTP, to set a wrong clock right.
const STEADY_MS = 60 * 60 * 1_000;

/**
 * Whether the wall clock may say what is old enough to be deleted or given up for good: once it has kept pace with the monotonic clock for
 * an hour, as long as it goes on like that. A journal tells a new process of the time before it. Main thread only.
 */
export class ClockWatch {
  readonly #monotonicMs: () => number;
  /** Wall clock minus monotonic clock, milliseconds, as it is believed. */
  #believedMs: number | undefined;
  /** What was seen instead, and since when on the monotonic clock. */
  #other: { offsetMs: number; readonly sinceMs: number } | undefined;

  constructor(monotonic: () => number = monotonicMs) {
    this.#monotonicMs = monotonic;
  }

  /**
   * Believes the clock at once where the newest end over an hour ago is within two hours, or there is none. Rejects as the journal does.
   */
  async ask(journal: Pick<Journal, "lastEndBefore">, nowMs: number = Date.now()): Promise<void> {
    const offsetMs = nowMs - this.#monotonicMs();
    const lastMs = await journal.lastEndBefore(nowMs - STEADY_MS);
    if (lastMs === undefined || lastMs >= nowMs - 2 * STEADY_MS) this.#believedMs = offsetMs;
  }

  /** Whether `nowMs`, read from the wall clock just now, may be believed. To be asked once a minute at least. */
  isRight(nowMs: number): boolean {
    const atMs = this.#monotonicMs();
    const offsetMs = nowMs - atMs;
    if (isNear(offsetMs, this.#believedMs)) return this.#believe(offsetMs);
    if (this.#other === undefined || !isNear(offsetMs, this.#other.offsetMs)) this.#other = { offsetMs, sinceMs: atMs };
    this.#other.offsetMs = offsetMs;
    return atMs - this.#other.sinceMs >= STEADY_MS && this.#believe(offsetMs);
  }

  #believe(offsetMs: number): true {
    this.#believedMs = offsetMs;
    this.#other = undefined;
    return true;
  }
}

function isNear(offsetMs: number, otherMs: number | undefined): boolean {
  return otherMs !== undefined && Math.abs(offsetMs - otherMs) <= TOLERANCE_MS;
}
