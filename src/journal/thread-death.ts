/**
 * The end of one thread. Not a promise to race against: the thread lives for months and every race would leave a
 * reaction on it for that long. Main thread only.
 */
export class ThreadDeath {
  readonly #listeners = new Set<() => void>();
  #happened = false;

  happen(): void {
    this.#happened = true;
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }

  /** Settles as `work` does, or rejects when the thread ends first or has ended. */
  orElse<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = () => reject(new Error("the journal's thread ended"));
      if (this.#happened) end();
      else this.#listeners.add(end);
      work.then(resolve, reject).finally(() => this.#listeners.delete(end));
    });
  }

  /** How many wait for it: the leak tests demand zero. */
  get waiting(): number {
    return this.#listeners.size;
  }
}
