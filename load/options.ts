import { parseArgs } from "node:util";
import { SCENARIOS, type Scenario } from "./scenarios.ts";

export interface LoadOptions {
  readonly help: boolean;
  readonly scenarios: readonly Scenario[];
  readonly seconds: number;
  readonly connections: number;
}

/** A command line that makes no sense; the message is one line. */
export class UsageError extends Error {}

const NAMES = SCENARIOS.map(({ name }) => name);

export const USAGE = `Starts the order service on free ports, sends it orders with autocannon, and checks that every answer is
right and that nothing of an order is left on any thread.

usage: npm run load -- [options]

  --scenario NAME     ${NAMES.join(", ")} or all; may be given several times (default: all)
  --duration SECONDS  of each scenario (default: 10)
  --connections N     orders at one time (default: 64)
  --help

${SCENARIOS.map(({ name, about }) => `  ${name.padEnd(9)} ${about}`).join("\n")}

Exit code 0: all is well; 1: a wrong answer, a broken connection or a leak; 2: wrong usage; 130: interrupted.
`;

export function readOptions(args: readonly string[]): LoadOptions {
  const { values } = parse(args);
  return {
    help: values.help,
    scenarios: choose(values.scenario),
    seconds: whole("--duration", values.duration, 3_600),
    connections: whole("--connections", values.connections, 10_000),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        scenario: { type: "string", multiple: true, default: ["all"] },
        duration: { type: "string", default: "10" },
        connections: { type: "string", default: "64" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function choose(names: readonly string[]): readonly Scenario[] {
  const unknown = names.find((name) => name !== "all" && !NAMES.includes(name));
  if (unknown !== undefined) throw new UsageError(`--scenario ${unknown}: must be ${NAMES.join(", ")} or all`);
  return SCENARIOS.filter(({ name }) => names.includes("all") || names.includes(name));
}

function whole(option: string, text: string, maximum: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > maximum) throw new UsageError(`${option} ${text}: must be a whole number from 1 to ${maximum}`);
  return value;
}
