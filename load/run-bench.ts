import { CannotRun } from "./lab/experiment.ts";
import { UsageError } from "./options.ts";
import type { Target } from "./target.ts";
import { targetLine } from "./target.ts";

/** Runs a benchmark and ends the process: with 1 when it fails or misses one of its targets, with 2 when its options are wrong. */
export function runBench(bench: () => Promise<readonly Target[]>): void {
  // `exit` ends the child processes. The default action of these signals would orphan them.
  process.once("SIGHUP", () => process.exit(129));
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  bench().then(
    (targets) => {
      // With --help there are no targets.
      if (targets.length > 0) process.stdout.write(`\n${targets.map(targetLine).join("")}`);
      process.exit(targets.every(({ met }) => met) ? 0 : 1);
    },
    (error: unknown) => {
      const wrongUsage = error instanceof UsageError;
      const text = error instanceof CannotRun ? error.message : wrongUsage ? `${error.message} (see --help)` : (error as Error).stack;
      process.stderr.write(`${text}\n`);
      process.exit(wrongUsage ? 2 : 1);
    },
  );
}
