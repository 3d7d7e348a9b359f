import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { UsageError } from "../options.ts";

/**
 * Reads options that are all whole numbers, 1 or more. With `--help` it prints the usage and returns undefined. Throws `UsageError` on any
 * other option or value.
 */
export function readNumbers<Name extends string>(
  usage: string,
  defaults: Readonly<Record<Name, number>>,
): Record<Name, number> | undefined {
  const names = Object.keys(defaults) as Name[];
  const numbers = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  const values = readArguments({ help: { type: "boolean", short: "h" }, ...numbers });
  if (values.help === true) {
    process.stdout.write(usage);
    return undefined;
  }
  return Object.fromEntries(names.map((name) => [name, wholeNumber(name, values[name], defaults[name])])) as Record<Name, number>;
}

function readArguments(options: ParseArgsOptionsConfig): Record<string, unknown> {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function wholeNumber(name: string, text: unknown, fallback: number): number {
  if (text === undefined) return fallback;
  if (typeof text !== "string" || !/^[1-9]\d{0,8}$/.test(text))
    throw new UsageError(`--${name} ${text}: must be a whole number, 1 or more`);
  return Number(text);
}
