// Orders are accepted again soon after the disk has room, and one write a second is no load.
const PROBE_MS = 1_000;

export interface JournalHealthOptions {
  /** Tries a write without meaning, and reports its result by `failed` or `works`. */
  readonly probe: () => Promise<void>;
  /** Whenever `healthy` changes; the reason is for the log. */
  readonly onHealth?: (healthy: boolean, reason: string) => void;
  readonly probeMs?: number;
}

/** Whether the journal can be written. While it cannot, a probe every second finds out when it can again. Main thread only. */
export class JournalHealth {
  readonly #options: JournalHealthOptions;
  #healthy = true;
  #timer: NodeJS.Timeout | undefined;
  #probing = false;
  #closed = false;

  constructor(options: JournalHealthOptions) {
    this.#options = options;
  }

  get healthy(): boolean {
    return this.#healthy;
  }

  /** A write was refused. */
  failed(reason: string): void {
    const wasHealthy = this.#healthy;
    this.#healthy = false;
    if (this.#closed) return;
    this.#timer ??= setInterval(() => void this.#probe(), this.#options.probeMs ?? PROBE_MS).unref();
    if (wasHealthy) this.#options.onHealth?.(false, reason);
  }

  /** A write is durable. */
  works(): void {
    if (this.#healthy) return;
    this.#healthy = true;
    this.#stopProbing();
    this.#options.onHealth?.(true, "it can be written again");
  }

  /** No more probes, for good. */
  close(): void {
    this.#closed = true;
    this.#stopProbing();
  }

  async #probe(): Promise<void> {
    // Where the disk hangs, probes must not pile up.
    if (this.#probing) return;
    this.#probing = true;
    await this.#options.probe();
    this.#probing = false;
  }

  #stopProbing(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
