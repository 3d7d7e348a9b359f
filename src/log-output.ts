import { constants, fstatSync, openSync, writeSync } from "node:fs";

export interface LogOutputOptions {
  /** The file descriptor to write to. */
  readonly fd: number;
  /** So many lines were dropped while nothing could be written. Called when writing works again. */
  readonly onLost: (lines: number) => void;
}

// Pending text while the log cannot be written: the lines of half a second at the highest rate, some 400 bytes per order.
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
// Lines of this time go out in one write. A write wakes the reader of a pipe or socket, which costs more than the lines.
const BATCH_MS = 10;
// More text than this is written at once.
const MAX_TEXT_LENGTH = 65_536;
// The pause before the next try with a slow reader: a pipe holds 64 KiB, and a full pipe every 5 ms is more than any log.
const READER_IS_SLOW_MS = 5;
// The same for a disk, which stays full or broken for a while.
const DISK_IS_BAD_MS = 100;
// At the end of the process a reader that takes nothing for this long is given up.
const LAST_CHANCE_MS = 1_000;

/**
 * The destination of log lines. Nothing here throws or waits: a full disk, or a reader that is gone or slow, must not stop the service.
 * Call `flushSync` before the process ends.
 *
 * Rejected: pino's own destination. It throws where nobody can catch it, and delays the end of the process for as long as the disk is full.
 */
export class LogOutput {
  readonly #options: LogOutputOptions;
  /** The lines of the current batch. */
  #text = "";
  /** Batches that are not written yet. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #timer: NodeJS.Timeout | undefined;
  #writesLater = false;

  constructor(options: LogOutputOptions) {
    this.#options = options;
  }

  /** Takes whole lines. They are written within 10 ms where the descriptor takes them. */
  write(text: string): void {
    // A character has one byte or more, so this may exceed the limit a little.
    if (this.#waitingBytes + this.#text.length + text.length > MAX_WAITING_BYTES) {
      this.#lost++;
      return;
    }
    this.#text += text;
    if (this.#text.length > MAX_TEXT_LENGTH) this.#flush();
    else if (!this.#writesLater) {
      this.#writesLater = true;
      setTimeout(this.#writeBatch, BATCH_MS).unref();
    }
  }

  /** Writes all pending lines before it returns; a slow reader may delay it. For the end of the process. */
  flushSync(): void {
    let untilMs = performance.now() + LAST_CHANCE_MS;
    for (let bytes = -1; ; ) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      const trouble = this.#flush();
      // `onLost` may have logged a line.
      if (trouble === undefined && this.#text !== "") continue;
      if (trouble !== "EAGAIN") return;
      if (this.#waitingBytes !== bytes) untilMs = performance.now() + LAST_CHANCE_MS;
      else if (performance.now() > untilMs) return;
      bytes = this.#waitingBytes;
      sleepSync(READER_IS_SLOW_MS);
    }
  }

  readonly #writeBatch = (): void => {
    this.#writesLater = false;
    if (this.#text !== "") this.#flush();
  };

  /** Returns the code of the error, undefined for success. */
  #flush(): string | undefined {
    if (this.#text !== "") {
      const bytes = Buffer.from(this.#text);
      this.#text = "";
      this.#waiting.push(bytes);
      this.#waitingBytes += bytes.length;
    }
    // A retry is scheduled: a write before it would fail again, and a failed write is expensive.
    if (this.#timer !== undefined) return undefined;
    const trouble = this.#writeWaiting();
    if (trouble !== undefined) {
      this.#retryAfter(trouble === "EAGAIN" ? READER_IS_SLOW_MS : DISK_IS_BAD_MS);
      return trouble;
    }
    const lines = this.#lost;
    this.#lost = 0;
    if (lines > 0) this.#options.onLost(lines);
    return undefined;
  }

  #writeWaiting(): string | undefined {
    let done = 0;
    try {
      for (; done < this.#waiting.length; done++) {
        // A disk that becomes full takes a part of a line; the rest has to come next.
        for (let rest = this.#waiting[done] as Buffer; rest.length > 0; this.#waiting[done] = rest) {
          const written = writeSync(this.#options.fd, rest);
          this.#waitingBytes -= written;
          rest = rest.subarray(written);
        }
      }
      return undefined;
    } catch (error) {
      return String((error as NodeJS.ErrnoException).code);
    } finally {
      this.#waiting.splice(0, done);
    }
  }

  #retryAfter(afterMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, afterMs).unref();
  }
}

/**
 * A non-blocking descriptor of the same output, for a pipe on Linux; otherwise `fd`: a socket cannot be opened again, and a non-blocking
 * `fd` would be so for every process that shares it.
 */
export function nonBlocking(fd: number): number {
  try {
    if (!fstatSync(fd).isFIFO()) return fd;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return fd;
  }
}

function sleepSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)), 0, 0, ms);
}
