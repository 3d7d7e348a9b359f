import { constants, fstatSync, openSync, writeSync } from "node:fs";

export interface LogOutputOptions {
  /** Such as that of the standard output. */
  readonly fd: number;
  /** Lines did not fit in while nothing could be written; now something can. */
  readonly onLost: (lines: number) => void;
}

// What waits for a log that cannot be written: half a second of the most orders there are, a line of some 400 bytes each.
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
// Lines that come within that time are one write. A write wakes the reader of a pipe or socket, which costs more than to make the lines.
const GATHER_MS = 10;
// More text than that does not wait for the time to be over.
const MAX_TEXT_LENGTH = 65_536;
// For a reader that is slow at the moment: a pipe holds 64 KiB, and full ones every 5 ms are more than any log is.
const READER_IS_SLOW_MS = 5;
// A disk that is full or broken stays so for a while.
const DISK_IS_BAD_MS = 100;
// At the end of the process a reader that takes nothing for that long does not read any more.
const LAST_CHANCE_MS = 1_000;

/**
 * Where log lines go: those of some milliseconds in one write. A full disk under the log, or a reader that is gone
 * or slow, must not stop the service, so nothing here throws, and nothing waits: pino's own destination throws where nobody catches it,
 * and then holds up the end of the process for as long as the disk is full. Whoever ends the process calls `flushSync`. Main thread only.
 */
export class LogOutput {
  readonly #options: LogOutputOptions;
  /** Lines that are not handed on yet. */
  #text = "";
  /** What could not be written, or not yet. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #timer: NodeJS.Timeout | undefined;
  #writesLater = false;

  constructor(options: LogOutputOptions) {
    this.#options = options;
  }

  /** Text of whole lines. It is written within 10 ms, unless there is trouble. */
  write(text: string): void {
    // A character has one byte or more, so this takes no more than there may be, or a little.
    if (this.#waitingBytes + this.#text.length + text.length > MAX_WAITING_BYTES) {
      this.#lost++;
      return;
    }
    this.#text += text;
    if (this.#text.length > MAX_TEXT_LENGTH) this.#flush();
    else if (!this.#writesLater) {
      this.#writesLater = true;
      setTimeout(this.#writeGathered, GATHER_MS).unref();
    }
  }

  /** Writes what is there before it returns, which a reader that is slow may delay. For the end of the process. */
  flushSync(): void {
    let untilMs = performance.now() + LAST_CHANCE_MS;
    for (let bytes = -1; ; ) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      const trouble = this.#flush();
      // That lines were lost is a line as well.
      if (trouble === undefined && this.#text !== "") continue;
      if (trouble !== "EAGAIN") return;
      if (this.#waitingBytes !== bytes) untilMs = performance.now() + LAST_CHANCE_MS;
      else if (performance.now() > untilMs) return;
      bytes = this.#waitingBytes;
      sleepSync(READER_IS_SLOW_MS);
    }
  }

  /** As pino calls it. */
  flush(done?: () => void): void {
    this.flushSync();
    done?.();
  }

  readonly #writeGathered = (): void => {
    this.#writesLater = false;
    if (this.#text !== "") this.#flush();
  };

  /** Gives the code of what went wrong. */
  #flush(): string | undefined {
    if (this.#text !== "") {
      const bytes = Buffer.from(this.#text);
      this.#text = "";
      this.#waiting.push(bytes);
      this.#waitingBytes += bytes.length;
    }
    // It would fail again, and a failure is dear.
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
        // A disk that becomes full takes a part of a line; the rest of it has to come next.
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
 * The same output, but one that says "later" instead of waiting for its reader, where that can be had: of a pipe on Linux. A socket (that
 * of systemd's journal) cannot be opened again, and to switch `fd` itself would switch it for every process that has it.
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
