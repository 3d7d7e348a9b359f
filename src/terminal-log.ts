import { logForPeople } from "./log-for-people.ts";

// Faster than anybody reads, and slow enough for the lines of a storm to stay on the screen.
const TOGETHER_MS = 1_000;

export interface TerminalLogOptions {
  readonly colors: boolean;
  /** Takes whole lines. */
  readonly write: (text: string) => void;
}

/**
 * The log of a service that runs in a terminal, as a destination of pino. Of lines that are alike it writes the first at once, and a second
 * later how many more there were. Main thread only.
 */
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
