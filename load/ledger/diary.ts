import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FILE = "campaign.log";
const KEPT_LINES = 2_000;
// A hot order has thousands of lines; the last ones show what went wrong.
const SHOWN_LINES = 120;
const SHOWN_CHARS = 600;

/** Writes down what happens to which order, a line each, in a file: for hundreds of thousands of orders that is too much for the memory. */
export class Diary {
  readonly #directory: string;
  #lines: string[] = [];

  /** `directory`: where the logs of the service are, too. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** `atMs`: on the campaign's clock. Without an order it is about all of them. */
  note(atMs: number, order: string | undefined, text: string): void {
    this.#lines.push(`${(atMs / 1_000).toFixed(3)} ${order ?? "*"} ${text}\n`);
    if (this.#lines.length >= KEPT_LINES) this.flush();
  }

  flush(): void {
    appendFileSync(join(this.#directory, FILE), this.#lines.join(""));
    this.#lines = [];
  }

  /** All that was written down of an order, and the lines of the service's logs that name it. */
  historyOf(order: string): string[] {
    this.flush();
    const own = linesOf(join(this.#directory, FILE)).filter((line) => line.split(" ", 2)[1] === order);
    const logs = readdirSync(this.#directory).filter((name) => name.startsWith("service-"));
    const named = [`"${order}"`, `${order}:`];
    const logged = logs.sort().flatMap((name) =>
      linesOf(join(this.#directory, name))
        .filter((line) => named.some((text) => line.includes(text)))
        .map((line) => `${name}: ${line}`),
    );
    return [...own.slice(-SHOWN_LINES), ...logged.slice(-SHOWN_LINES)].map((line) => line.slice(0, SHOWN_CHARS));
  }
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n").slice(0, -1);
  } catch {
    return [];
  }
}
