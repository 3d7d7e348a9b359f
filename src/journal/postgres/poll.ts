// Somebody waits for what a poll brings, and a poll costs the server 0.2 ms and 2 us more for each item.
const POLL_MS = 75;

/** Polls items: a new one soon, and all of them again and again. One poll at a time; what comes meanwhile shares the next. */
export class Poll<Item> {
  readonly #poll: (items: readonly Item[]) => Promise<void>;
  readonly #items = new Set<Item>();
  #next = new Set<Item>();
  #timer: NodeJS.Timeout | undefined;
  #isPolling = false;

  /** `poll` must not reject, and takes away with `delete` what needs no further poll. */
  constructor(poll: (items: readonly Item[]) => Promise<void>) {
    this.#poll = poll;
  }

  has(item: Item): boolean {
    return this.#items.has(item);
  }

  /** Polls an item soon, a new one or one of before. */
  poll(item: Item): void {
    this.#items.add(item);
    this.#next.add(item);
    if (!this.#isPolling) void this.#run();
  }

  delete(item: Item): void {
    this.#items.delete(item);
    this.#next.delete(item);
    if (this.#items.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #run(): Promise<void> {
    this.#isPolling = true;
    while (this.#next.size > 0) {
      const items = [...this.#next];
      this.#next.clear();
      await this.#poll(items);
    }
    this.#isPolling = false;
    // What still waits when the process ends must not keep it.
    if (this.#items.size > 0) this.#timer ??= setTimeout(() => this.#pollAll(), POLL_MS).unref();
  }

  #pollAll(): void {
    this.#timer = undefined;
    this.#next = new Set(this.#items);
    if (!this.#isPolling) void this.#run();
  }
}
