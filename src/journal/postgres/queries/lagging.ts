import { monotonicMs } from "../../../threads/index.ts";

/** A value that takes long to read: whoever asks gets the one that was read last, and has a new one read where that is old. */
export class Lagging<Value> {
  readonly #read: () => Promise<Value>;
  readonly #maxAgeMs: number;
  #last: { readonly value: Value; readonly atMs: number } | undefined;
  #reading: Promise<Value> | undefined;

  constructor(read: () => Promise<Value>, maxAgeMs: number) {
    this.#read = read;
    this.#maxAgeMs = maxAgeMs;
  }

  /** Only the first one waits, and rejects as the read does. After a later one that fails the value stays as old as it is. */
  async value(): Promise<Value> {
    const last = this.#last;
    if (last === undefined) return await this.#next();
    if (monotonicMs() - last.atMs >= this.#maxAgeMs) this.#next().catch(() => {});
    return last.value;
  }

  #next(): Promise<Value> {
    this.#reading ??= this.#read()
      .then((value) => {
        this.#last = { value, atMs: monotonicMs() };
        return value;
      })
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }
}
