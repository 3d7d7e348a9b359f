import type { Logger } from "pino";

type Fields = Readonly<Record<string, unknown>>;
type ErrorClass = abstract new (...args: never[]) => Error;

export interface FaultLogOptions {
  readonly log: Logger;
  /** Operational errors, such as a full disk: the log has their message, without a stack. */
  readonly expected: readonly ErrorClass[];
  /** How long equal faults are counted before their count is logged; 1 second where absent. */
  readonly windowMs?: number;
}

type Level = "debug" | "info" | "warn" | "error";

interface Repeated {
  readonly level: Level;
  readonly message: string;
  fields: Fields;
  /** Faults since the last line. */
  count: number;
  readonly timer: NodeJS.Timeout;
}

const WINDOW_MS = 1_000;
// Errors with an id in their text are all different. More kinds than this at one time are counted together.
const MAX_KINDS = 100;
const MANY = "faults of too many kinds";

/**
 * Logs faults, and equal faults once in a window: the first one at once, the others as a count with the fields of the newest. So a fault that comes
 * with every request does not fill the disk. Main thread only.
 */
export class FaultLog {
  readonly #options: FaultLogOptions;
  readonly #repeated = new Map<string, Repeated>();

  constructor(options: FaultLogOptions) {
    this.#options = options;
  }

  /** Logs a fault with its error and `fields`. Faults are equal when their message and the text of their error are. Never throws. */
  report(message: string, error: unknown, fields: Fields = {}): void {
    const cause = this.#isExpected(error) ? { reason: error.message } : { err: error };
    this.#add(`${message}\n${textOf(error)}`, "error", message, { ...fields, ...cause });
  }

  /** Logs a line of a thread. Lines are equal when their level and message are. Never throws. */
  line(level: Level, message: string, fields: Fields): void {
    this.#add(`${level}\n${message}`, level, message, fields);
  }

  /** Logs the pending counts. */
  close(): void {
    for (const [kind, repeated] of this.#repeated) {
      clearTimeout(repeated.timer);
      this.#repeated.delete(kind);
      this.#logRepeated(repeated);
    }
  }

  #add(kind: string, level: Level, message: string, fields: Fields): void {
    const known = this.#repeated.get(kind) ?? (this.#repeated.size >= MAX_KINDS ? this.#repeated.get(MANY) : undefined);
    if (known !== undefined) {
      known.count++;
      known.fields = fields;
      return;
    }
    this.#options.log[level](fields, message);
    if (this.#repeated.size < MAX_KINDS) this.#count(kind, level, message, fields);
    else this.#count(MANY, "error", MANY, fields);
  }

  #count(kind: string, level: Level, message: string, fields: Fields): void {
    // A pending count does not keep the process alive.
    const timer = setTimeout(() => this.#windowIsOver(kind), this.#options.windowMs ?? WINDOW_MS).unref();
    this.#repeated.set(kind, { level, message, fields, count: 0, timer });
  }

  #windowIsOver(kind: string): void {
    const repeated = this.#repeated.get(kind);
    if (repeated === undefined) return;
    if (repeated.count === 0) {
      this.#repeated.delete(kind);
      return;
    }
    this.#logRepeated(repeated);
    // The fault goes on, so its next line comes at the end of the next window.
    repeated.count = 0;
    repeated.timer.refresh();
  }

  #logRepeated({ level, message, fields, count }: Repeated): void {
    if (count > 0) this.#options.log[level]({ ...fields, count }, message);
  }

  #isExpected(error: unknown): error is Error {
    return this.#options.expected.some((kind) => error instanceof kind);
  }
}

function textOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    return "an error without a text";
  }
}
