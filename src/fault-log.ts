import type { Logger } from "pino";

type Fields = Readonly<Record<string, unknown>>;
type ErrorClass = abstract new (...args: never[]) => Error;

export interface FaultLogOptions {
  readonly log: Logger;
  /** Errors that come with the weather, such as a full disk: what they say is enough, and where they were made is left out. */
  readonly expected: readonly ErrorClass[];
  /** How long equal faults are counted before they are told of, 1 second unless told. */
  readonly windowMs?: number;
}

type Level = "debug" | "info" | "warn" | "error";

interface Repeated {
  readonly level: Level;
  readonly message: string;
  fields: Fields;
  /** Those since the last line. */
  count: number;
  readonly timer: NodeJS.Timeout;
}

const WINDOW_MS = 1_000;
// Errors whose text has an id in it are all different. Past that many at one time they are counted together.
const MAX_KINDS = 100;
const MANY = "faults of too many kinds";

/**
 * Logs faults, equal ones once in a window: the first at once, those that follow as a count, with the fields of the newest. So whatever
 * fails with every request fills no disk. Main thread only.
 */
export class FaultLog {
  readonly #options: FaultLogOptions;
  readonly #repeated = new Map<string, Repeated>();

  constructor(options: FaultLogOptions) {
    this.#options = options;
  }

  /**
   * A fault with its error: equal are those with the same message and the same text of the error. Never throws. `fields` go into
   * the line.
   */
  report(message: string, error: unknown, fields: Fields = {}): void {
    const cause = this.#isExpected(error) ? { reason: error.message } : { err: error };
    this.#add(`${message}\n${textOf(error)}`, "error", message, { ...fields, ...cause });
  }

  /** A line that a thread has logged: equal are those with the same level and message. Never throws. */
  line(level: Level, message: string, fields: Fields): void {
    this.#add(`${level}\n${message}`, level, message, fields);
  }

  /** Writes the counts that are not told yet. */
  close(): void {
    for (const [kind, repeated] of this.#repeated) {
      clearTimeout(repeated.timer);
      this.#repeated.delete(kind);
      this.#writeCount(repeated);
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
    // Of itself a count is no reason for the process to live on.
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
    this.#writeCount(repeated);
    // It goes on, so the next one waits for the end of the next window too.
    repeated.count = 0;
    repeated.timer.refresh();
  }

  #writeCount({ level, message, fields, count }: Repeated): void {
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
