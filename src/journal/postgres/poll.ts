// Somebody waits for what a look brings, and a look costs the server 0.2 ms and 2 us more for each item.
const POLL_MS = 75;

/** Looks at items: at a new one soon, and at all of them again and again. One look at a time; what comes meanwhile shares the next. */
export class Poll<Item> {
  readonly #look: (items: readonly Item[]) => Promise<void>;
  readonly #items = new Set<Item>();
  #next = new Set<Item>();
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;

  /** `look` must not reject, and takes away with `delete` what needs no further look. */
  constructor(look: (items: readonly Item[]) => Promise<void>) {
    this.#look = look;
  }

  has(item: Item): boolean {
    return this.#items.has(item);
  }

  /** Looks at an item soon, a new one or one of before. */
  lookAt(item: Item): void {
    this.#items.add(item);
    this.#next.add(item);
    if (!this.#isLooking) void this.#run();
  }

  delete(item: Item): void {
    this.#items.delete(item);
    this.#next.delete(item);
    if (this.#items.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #run(): Promise<void> {
    this.#isLooking = true;
    while (this.#next.size > 0) {
      const items = [...this.#next];
      this.#next.clear();
      await this.#look(items);
    }
    this.#isLooking = false;
    // What still waits when the process ends must not keep it.
    if (this.#items.size > 0) this.#timer ??= setTimeout(() => this.#lookAtAll(), POLL_MS).unref();
  }

  #lookAtAll(): void {
    this.#timer = undefined;
    this.#next = new Set(this.#items);
    if (!this.#isLooking) void this.#run();
  }
}
