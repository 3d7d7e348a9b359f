// Ticks by which the clock is set: five seconds of them.
const SAMPLES = 20;

/** The server's monotonic clock, as far as a page can know it: of the latest ticks the one that travelled fastest tells. */
export class ServerClock {
  /** @type {number[]} */
  #offsets = [];
  #offset = 0;
  #sinceMs1970 = 0;

  /**
   * A process has begun to speak, perhaps another one.
   *
   * @param {number} now
   * @param {number} nowSince1970Ms
   */
  restart(now, nowSince1970Ms) {
    this.#offsets = [];
    this.#sinceMs1970 = nowSince1970Ms - now;
    this.heard(now);
  }

  /** @param {number} now what a message that has just come says */
  heard(now) {
    this.#offsets.push(now - performance.now());
    if (this.#offsets.length > SAMPLES) this.#offsets.shift();
    this.#offset = Math.max(...this.#offsets);
  }

  /** Milliseconds on the server's clock. */
  now() {
    return performance.now() + this.#offset;
  }

  /**
   * @param {number} ms on the server's clock
   * @returns {Date}
   */
  date(ms) {
    return new Date(this.#sinceMs1970 + ms);
  }
}
