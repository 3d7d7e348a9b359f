const BAR_CELLS = 30;
const REDRAW_MS = 200;
const LINE_EVERY_MS = 5_000;

/** Shows on stderr how far a run of known length is: a bar on a terminal, now and then a line elsewhere. */
export class Progress implements Disposable {
  readonly #name: string;
  readonly #seconds: number;
  readonly #startedAtMs = performance.now();
  readonly #bar = process.stderr.isTTY === true;
  readonly #timer: NodeJS.Timeout;
  #answers = 0;

  constructor(name: string, seconds: number) {
    this.#name = name;
    this.#seconds = seconds;
    this.#timer = setInterval(() => this.#show(), this.#bar ? REDRAW_MS : LINE_EVERY_MS);
    this.#show();
  }

  readonly count = (): void => {
    this.#answers++;
  };

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#bar) process.stderr.write("\r\x1b[K");
  }

  #show(): void {
    const elapsed = Math.min((performance.now() - this.#startedAtMs) / 1000, this.#seconds);
    const text = `${elapsed.toFixed(0)} of ${this.#seconds} s, ${this.#answers} answers`;
    if (!this.#bar) {
      process.stderr.write(`${this.#name}: ${text}\n`);
      return;
    }
    const full = Math.round((elapsed / this.#seconds) * BAR_CELLS);
    process.stderr.write(`\r${this.#name.padEnd(9)}[${"#".repeat(full)}${".".repeat(BAR_CELLS - full)}] ${text}\x1b[K`);
  }
}
