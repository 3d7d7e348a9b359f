// Five seconds of ticks.
const SAMPLES = 20;

/** The server's monotonic clock as far as a page can know it: the fastest of the latest messages sets it. */
export class ServerClock {
  /** @type {number[]} */
  #offsets = [];
  #offset = 0;
  #sinceMs1970 = 0;

  /**
   * For the first message of a stream, perhaps of another process.
   *
   * @param {number} now
   * @param {number} nowSince1970Ms
   */
  restart(now, nowSince1970Ms) {
    this.#offsets = [];
    this.#sinceMs1970 = nowSince1970Ms - now;
    this.received(now);
  }

  /** @param {number} now the time in a message that has just come */
  received(now) {
    this.#offsets.push(now - performance.now());
    if (this.#offsets.length > SAMPLES) this.#offsets.shift();
    this.#offset = Math.max(...this.#offsets);
  }

  /** Milliseconds on the server's clock. */
  now() {
    return performance.now() + this.#offset;
  }

  /** What its wall clock says now, milliseconds since 1970. That of this machine may be wrong. */
  wallMs() {
    return this.date(this.now()).getTime();
  }

  /**
   * @param {number} ms on the server's clock
   * @returns {Date}
   */
  date(ms) {
    return new Date(this.#sinceMs1970 + ms);
  }
}
