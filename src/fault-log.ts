import type { Logger } from "pino";

type Fields = Readonly<Record<string, unknown>>;
type ErrorClass = abstract new (...args: never[]) => Error;

export interface FaultLogOptions {
  readonly log: Logger;
  /** Errors that operation brings, such as a full disk: the log has their message without a stack. */
  readonly expected: readonly ErrorClass[];
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

// How long equal faults are counted before the count is logged.
const WINDOW_MS = 1_000;
// Errors with an id in their text are all different. Above this number of kinds at one time, the rest are counted together.
const MAX_KINDS = 100;
const MANY = "faults of too many kinds";

/** Logs equal faults once in a window, and then their number with the newest fields: what every request meets must not fill the disk. */
export class FaultLog {
  /** What lines of other threads say besides of an order that runs: a thread knows no more of it than its id. */
  orderFields: (orderId: unknown) => Fields = () => ({});
  readonly #options: FaultLogOptions;
  readonly #repeated = new Map<string, Repeated>();

  constructor(options: FaultLogOptions) {
    this.#options = options;
  }

  /** Logs a fault. Two faults are equal when their messages and the texts of their errors are. Never throws. */
  report(message: string, error: unknown, fields: Fields = {}): void {
    const cause = this.#isExpected(error) ? { reason: error.message } : { err: error };
    this.#add(`${message}\n${logTextOf(error)}`, "error", message, { ...fields, ...cause });
  }

  /** Logs a line of another thread. Two lines are equal when their levels and messages are. Never throws. */
  line(level: Level, message: string, fields: Fields): void {
    this.#add(`${level}\n${message}`, level, message, { ...fields, ...this.orderFields(fields.order_id) });
  }

  /** Writes the counts that are not logged yet. */
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
    // `unref`: a count alone must not keep the process alive.
    const timer = setTimeout(() => this.#windowIsOver(kind), WINDOW_MS).unref();
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
    // The fault continues, so the next count waits for the end of the next window.
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

function logTextOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    return "an error without a text";
  }
}
