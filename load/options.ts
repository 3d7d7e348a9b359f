import { type ParseArgsOptionsConfig, parseArgs } from "node:util";

const MOST_SEED = 2 ** 31;

/** A command line that makes no sense; the message is one line. */
export class UsageError extends Error {}

/** Says why a command failed and ends the process: with 2 when its options are wrong, else with 1. */
export function endAfter(command: string, error: unknown): never {
  const wrongUsage = error instanceof UsageError;
  process.stderr.write(`${command}: ${(error as Error).message}${wrongUsage ? " (see --help)" : ""}\n`);
  process.exit(wrongUsage ? 2 : 1);
}

/** As `parseArgs`, with `--help`. Throws `UsageError` on an option that is not there. */
export function readOptions<Options extends ParseArgsOptionsConfig>(options: Options, args: readonly string[] = process.argv.slice(2)) {
  try {
    return parseArgs({ args: [...args], options: { ...options, help: { type: "boolean", short: "h", default: false } } }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** An option's number. Throws `UsageError` on any other text. */
export function wholeNumber(option: string, text: string, maximum = 999_999_999, minimum = 1): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= minimum && value <= maximum) return value;
  throw new UsageError(`--${option} ${text}: must be a whole number from ${minimum} to ${maximum}`);
}

/** The number of `--seed`, or a new one. Throws `UsageError` on any other text. */
export function seedOf(text: string | undefined): number {
  return text === undefined ? Math.trunc(Math.random() * MOST_SEED) : wholeNumber("seed", text, MOST_SEED, 0);
}
