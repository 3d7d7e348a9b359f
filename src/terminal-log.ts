import { prettyFactory } from "pino-pretty";

// Faster than anybody reads, and slow enough for the lines of a storm to stay on the screen.
const TOGETHER_MS = 1_000;

export interface TerminalLogOptions {
  readonly colors: boolean;
  /** Takes whole lines. */
  readonly write: (text: string) => void;
}

/** A destination of pino for a terminal. Of lines that are alike it writes the first, and a second later how many more there were. */
export class TerminalLog {
  readonly #write: (text: string) => void;
  readonly #readable: ReturnType<typeof logForPeople>;
  /** How many lines were left out, by what they have in common with one that was written within the last second. */
  readonly #leftOut = new Map<string, { lines: number; readonly first: string; readonly timer: NodeJS.Timeout }>();
  #page: string | undefined;

  constructor({ colors, write }: TerminalLogOptions) {
    this.#write = write;
    this.#readable = logForPeople({ colors });
  }

  /** The address of the live page. It is repeated after lines that may have moved it off the screen. */
  set page(url: string) {
    this.#page = url;
  }

  /** Takes one line of JSON. */
  write(line: string): void {
    const { text, alike, name } = this.#readable(line);
    const known = this.#leftOut.get(alike);
    if (known !== undefined) {
      known.lines++;
      return;
    }
    this.#leftOut.set(alike, { lines: 0, first: name, timer: setTimeout(() => this.#tell(alike), TOGETHER_MS).unref() });
    this.#write(text);
  }

  /** Writes now what would be written within a second. For the end of the process. */
  flush(): void {
    for (const alike of [...this.#leftOut.keys()]) this.#tell(alike);
  }

  #tell(alike: string): void {
    const { lines = 0, first, timer } = this.#leftOut.get(alike) ?? {};
    clearTimeout(timer);
    this.#leftOut.delete(alike);
    if (lines === 0) return;
    const number = lines.toLocaleString("en-US").replaceAll(",", " ");
    const page = this.#page === undefined ? "" : `; page ${this.#page}`;
    this.#write(`... ${number} more like ${first} within a second${page}\n`);
  }
}

interface OrderLine {
  readonly order_id: string;
  readonly attempt: number;
  readonly kind?: string;
  readonly duration_ms: number;
  readonly steps: readonly { readonly name: string; readonly status: string; readonly detail?: string; readonly duration_ms: number }[];
}

/** A line of the log as text. */
export interface ReadableLine {
  /** One line with its end; below it the stack of an error. */
  readonly text: string;
  /** Lines that have it in common tell a reader the same thing. */
  readonly alike: string;
  /** How to refer to it: an order's name, or the message. */
  readonly name: string;
}

const PINO_ERROR_LEVEL = 50;

/** Turns lines of JSON into text. Alike are orders that ended in the same way, lines with one message, errors with equal fields. */
export function logForPeople({ colors }: { readonly colors: boolean }): (line: string) => ReadableLine {
  const prettify = prettyFactory({ colorize: colors, ignore: "pid,hostname,node", singleLine: true });
  return (line) => {
    const entry = JSON.parse(line);
    const { level, time, msg, ...fields } = entry;
    if (msg === "order ended")
      return { text: prettify({ level, time, msg: ofOrder(entry) }), alike: endOf(entry), name: `order ${entry.order_id}` };
    return { text: prettify(entry), alike: JSON.stringify(level < PINO_ERROR_LEVEL ? [msg] : [msg, fields]), name: `"${msg}"` };
  };
}

function ofOrder({ order_id, attempt, kind, duration_ms, steps }: OrderLine): string {
  const name = attempt === 1 ? order_id : `${order_id} (attempt ${attempt})`;
  const ended = steps.map((step) => `${step.name} ${step.detail ?? step.status} ${step.duration_ms} ms`);
  return `order ${name}: ${kind ?? "ok"} after ${duration_ms} ms (${ended.join(", ")})`;
}

function endOf({ kind, steps }: OrderLine): string {
  return JSON.stringify([kind, ...steps.map(({ detail, status }) => detail ?? status)]);
}
