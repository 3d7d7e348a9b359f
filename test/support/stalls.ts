const LOOK_EVERY_MS = 20;

/** Notices when this process did not run for `limitMs` or longer. What depends on its running says nothing about others just afterwards. */
export class Stalls implements Disposable {
  readonly #limitMs: number;
  readonly #timer: NodeJS.Timeout;
  #lookedAtMs = performance.now();
  #endedAtMs = Number.NEGATIVE_INFINITY;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  /** How long ago the last stall ended; infinite where there was none. */
  get agoMs(): number {
    this.#look();
    return performance.now() - this.#endedAtMs;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const nowMs = performance.now();
    if (nowMs - this.#lookedAtMs >= this.#limitMs) this.#endedAtMs = nowMs;
    this.#lookedAtMs = nowMs;
  }
}
