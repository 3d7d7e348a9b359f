/**
 * Something that ends waits early, once: a thread that dies, a shutdown that waits no longer. Not a promise to race
 * against: the journal's thread lives for months and every race would leave a reaction on it for that long. Main thread
 * only.
 */
export class Interruption {
  readonly #reason: string;
  // A few at most, so looking through them costs nothing; no `Set`, for the reason that `StepTable` gives.
  #listeners: (() => void)[] = [];
  #happened = false;

  constructor(reason: string) {
    this.#reason = reason;
  }

  happen(): void {
    this.#happened = true;
    for (const listener of this.#listeners.splice(0)) listener();
  }

  /** Settles as `work` does, or rejects with the reason when this happens first or has happened. */
  orElse<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = () => reject(new Error(this.#reason));
      if (this.#happened) end();
      else this.#listeners.push(end);
      work.then(resolve, reject).finally(() => this.#remove(end));
    });
  }

  /** How many waits it would end: the leak tests demand zero. */
  get waiting(): number {
    return this.#listeners.length;
  }

  #remove(end: () => void): void {
    const index = this.#listeners.indexOf(end);
    if (index >= 0) this.#listeners.splice(index, 1);
  }
}
