/**
 * Something that ends waits early, once: a thread that dies, a shutdown that waits no longer. Not a promise to race
 * against: the journal's thread lives for months and every race would leave a reaction on it for that long. Main thread
 * only.
 */
export class Interruption {
  readonly #reason: string;
  readonly #listeners = new Set<() => void>();
  #happened = false;

  constructor(reason: string) {
    this.#reason = reason;
  }

  happen(): void {
    this.#happened = true;
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }

  /** Settles as `work` does, or rejects with the reason when this happens first or has happened. */
  orElse<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = () => reject(new Error(this.#reason));
      if (this.#happened) end();
      else this.#listeners.add(end);
      work.then(resolve, reject).finally(() => this.#listeners.delete(end));
    });
  }

  /** How many waits it would end: the leak tests demand zero. */
  get waiting(): number {
    return this.#listeners.size;
  }
}
