import { parseArgs } from "node:util";
import { UsageError } from "../options.ts";

const MOST_SEED = 2 ** 31;

export const USAGE = `Disturbs the service while clients place orders, and keeps the books that it cannot forge. It is killed, at random moments and at its commits,
its disk is full or fails, its journal is locked, its clock jumps, its providers hang, cut, act late and refuse, operators retry and settle,
backups are made under load and restored. In the end every placed order must have been paid, accepted and assigned exactly once, every other
one must have left nothing behind, every answer under a key must have stayed the same, and every event must have come, in its order.

usage: npm run campaign:ledger -- [--minutes N] [--orders N] [--seed N]

  --minutes N  how long things go wrong (default: 2); longer, until each kind of thing has been seen, for five times as long at most
  --orders N   ends earlier, when so many orders have been asked for
  --seed N     the same things in the same order as another run with that seed (default: a new one)
  --keep       leaves the journal and the logs where they are

It tells on stderr what it does. Exit code 0: all is well; 1: something is wrong, then with the history of the order; 2: wrong usage.
`;

export interface CommandLine {
  readonly minutes: number;
  readonly orders?: number;
  readonly seed: number;
  readonly keep: boolean;
}

/** Undefined: the usage is asked for. Throws `UsageError`. */
export function readCommandLine(args: readonly string[]): CommandLine | undefined {
  const { help, minutes, orders, seed, keep } = parsed(args);
  if (help) return undefined;
  return {
    minutes: whole("--minutes", minutes, 1, 10_000),
    seed: seed === undefined ? Math.trunc(Math.random() * MOST_SEED) : whole("--seed", seed, 0, MOST_SEED),
    keep,
    ...(orders !== undefined && { orders: whole("--orders", orders, 1, 10_000_000) }),
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        minutes: { type: "string", default: "2" },
        orders: { type: "string" },
        seed: { type: "string" },
        keep: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function whole(option: string, text: string, least: number, most: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) throw new UsageError(`${option} ${text}: must be a whole number from ${least} to ${most}`);
  return value;
}
