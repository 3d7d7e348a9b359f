import { writeSync } from "node:fs";

export interface LogOutputOptions {
  /** Such as that of the standard output. */
  readonly fd: number;
  /** Lines did not fit in while nothing could be written; now something can. */
  readonly onLost: (lines: number) => void;
}

// What waits for a log that cannot be written: some hundred lines, the first of which tell how the trouble began.
const MAX_WAITING_BYTES = 65_536;
// For a reader that is slow at the moment. Of other trouble the next line tells whether it is over.
const AGAIN_MS = 100;
const NOTHING = Buffer.alloc(0);

/**
 * Where log lines go. A full disk under the log, or a reader that is gone or slow, must not stop the service, so nothing here throws,
 * and nothing waits: pino's own destination throws where nobody catches it, and then holds up the end of the process for as long as the
 * disk is full. Main thread only.
 */
export class LogOutput {
  readonly #options: LogOutputOptions;
  #waiting: Buffer = NOTHING;
  #lost = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LogOutputOptions) {
    this.#options = options;
  }

  /** Text of whole lines. It is written before this returns, unless there is trouble. */
  write(text: string): void {
    const bytes = Buffer.from(text);
    if (this.#waiting.length + bytes.length > MAX_WAITING_BYTES && this.#waiting.length > 0) this.#flush();
    if (this.#waiting.length > 0 && this.#waiting.length + bytes.length > MAX_WAITING_BYTES) {
      this.#lost++;
      return;
    }
    this.#waiting = this.#waiting.length === 0 ? bytes : Buffer.concat([this.#waiting, bytes]);
    this.#flush();
  }

  #flush(): void {
    try {
      // A disk that becomes full takes a part of a line; the rest of it has to come next.
      while (this.#waiting.length > 0) this.#waiting = this.#waiting.subarray(writeSync(this.#options.fd, this.#waiting));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") this.#tryAgain();
      return;
    }
    const lines = this.#lost;
    this.#lost = 0;
    if (lines > 0) this.#options.onLost(lines);
  }

  #tryAgain(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, AGAIN_MS).unref();
  }
}
