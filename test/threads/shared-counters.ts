// Long past anything a healthy run takes on one busy core, and well inside the test timeout, so that the message says what was missing.
const PATIENCE_MS = 60_000;

/**
 * Shared Int32 words through which a test and its tasks meet: gates that a task waits at, and counts of what
 * happened on a thread. They survive the thread, which is how a test proves that a task did or did not run.
 */
export class SharedCounters {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;
  #taken = 0;

  constructor(buffer = new SharedArrayBuffer(8192 * Int32Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** The test's side: a counter of its own, at 0. */
  take(): number {
    if (this.#taken === this.#words.length) throw new Error("no free counter left");
    return this.#taken++;
  }

  read(counter: number): number {
    return Atomics.load(this.#words, counter);
  }

  write(counter: number, value: number): void {
    Atomics.store(this.#words, counter, value);
    Atomics.notify(this.#words, counter);
  }

  /** Counts one more, or opens a gate; wakes whoever waits for that. Returns the new value. */
  add(counter: number): number {
    const value = Atomics.add(this.#words, counter, 1) + 1;
    Atomics.notify(this.#words, counter);
    return value;
  }

  /** Resolves when the counter holds at least `least`. Any thread. */
  async reached(counter: number, least = 1, signal?: AbortSignal): Promise<void> {
    const canceled = signal === undefined ? undefined : rejection(signal);
    const giveUpMs = performance.now() + PATIENCE_MS;
    for (;;) {
      signal?.throwIfAborted();
      const value = this.read(counter);
      if (value >= least) return;
      const left = giveUpMs - performance.now();
      if (left <= 0) throw new Error(`counter ${counter} is still ${value}, not ${least}`);
      const wait = Atomics.waitAsync(this.#words, counter, value, left);
      if (wait.async) await (canceled === undefined ? wait.value : Promise.race([wait.value, canceled]));
    }
  }

  /** Blocks the whole thread, main thread included, until the counter holds at least `least`. */
  block(counter: number, least = 1): void {
    const giveUpMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const value = this.read(counter);
      if (value >= least) return;
      if (Atomics.wait(this.#words, counter, value, giveUpMs - performance.now()) === "timed-out") {
        throw new Error(`counter ${counter} is still ${value}, not ${least}`);
      }
    }
  }
}

function rejection(signal: AbortSignal): Promise<never> {
  const canceled = new Promise<never>((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  // The gate may have been left by then; nobody is interested any more.
  canceled.catch(() => {});
  return canceled;
}
