import type { WatchClock } from "../../src/threads/grace-watch.ts";

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** Time for the watches that passes only when a test says so: no judgment depends on how busy the machine is. */
export class ManualClock implements WatchClock {
  #nowMs = 1_000;
  // In the order in which they were set.
  readonly #timers = new Set<Timer>();
  #unread: (() => void)[] = [];

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + ms, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  onceRead(callback: () => void): void {
    this.#unread.push(callback);
  }

  /** The whole process stands still, or its event loop is busy: time passes and no timer fires. */
  stall(ms: number): void {
    this.#nowMs += ms;
  }

  /** The timers that are due fire, however late. */
  fire(): void {
    for (const timer of [...this.#timers].sort((a, b) => a.dueMs - b.dueMs)) {
      if (timer.dueMs <= this.#nowMs && this.#timers.delete(timer)) timer.callback();
    }
  }

  /** Everything that had arrived when the timers fired has been read. */
  read(): void {
    const callbacks = this.#unread;
    this.#unread = [];
    for (const callback of callbacks) callback();
  }

  /** Time passes and every timer fires when it is due. */
  pass(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (let dueMs = this.#nextDueMs(); dueMs <= endMs; dueMs = this.#nextDueMs()) {
      this.#nowMs = Math.max(this.#nowMs, dueMs);
      this.fire();
      this.read();
    }
    this.#nowMs = endMs;
  }

  #nextDueMs(): number {
    return Math.min(...[...this.#timers].map(({ dueMs }) => dueMs));
  }
}
