import { type ParseArgsOptionsConfig, parseArgs } from "node:util";

/** A command line that makes no sense; the message is one line. */
export class UsageError extends Error {}

/** As `parseArgs`, with `--help`. Throws `UsageError` on an option that is not there. */
export function readOptions<Options extends ParseArgsOptionsConfig>(options: Options, args: readonly string[] = process.argv.slice(2)) {
  try {
    return parseArgs({ args: [...args], options: { ...options, help: { type: "boolean", short: "h", default: false } } }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** An option's number. Throws `UsageError` on any other text. */
export function wholeNumber(option: string, text: string, maximum = 999_999_999): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= maximum) return value;
  throw new UsageError(`--${option} ${text}: must be a whole number from 1 to ${maximum}`);
}
