import { readNumbers } from "../long-run/numbers.ts";
import { UsageError } from "../options.ts";
import { median, quantile } from "../quantile.ts";
import { runBench } from "../run-bench.ts";
import { table } from "../table.ts";
import { atLeast } from "../target.ts";
import { cpuOfClient, cpuOfService, memoryAtRest, memoryOfService, type Pair } from "./figures.ts";
import { ProjectCopy } from "./project-copy.ts";
import { TRICKS, type Trick } from "./tricks.ts";

const DEFAULTS = { only: 0, processes: 3, pairs: 6, seconds: 2, warmup: 15, orders: 10_000 };
const USAGE = `What each trick saves: code that is there for its cost alone, against the ordinary way of writing it in a copy of the project, by
turns. The first row compares the service with itself: what it shows is noise. A trick that saves less than 3 % should go (Linux).

usage: npm run bench:tricks -- [options]

  --only N       the Nth trick alone (default: all)
  --processes N  of the service with and without each trick (default: ${DEFAULTS.processes})
  --pairs N      of rounds for each two processes (default: ${DEFAULTS.pairs})
  --seconds N    of one round (default: ${DEFAULTS.seconds})
  --warmup N     seconds for each process (default: ${DEFAULTS.warmup})
  --orders N     that wait at one time, where a trick saves memory (default: ${DEFAULTS.orders})
`;
const MIN_SAVED_PERCENT = 3;

const FIGURES = {
  "service, CPU us": cpuOfService,
  "client, CPU us": cpuOfClient,
  "waiting, bytes": memoryOfService,
  "idle, MiB": memoryAtRest,
};

const savedPercent = ({ trick, plain }: Pair): number => (1 - trick / plain) * 100;

function row({ name, plain, cost }: Trick, pairs: readonly Pair[]): string[] {
  const saved = pairs.map(savedPercent);
  const digits = cost === "waiting, bytes" ? 0 : 1;
  return [
    name,
    plain,
    cost,
    median(pairs.map((pair) => pair.trick)).toFixed(digits),
    median(pairs.map((pair) => pair.plain)).toFixed(digits),
    median(saved).toFixed(1),
    `${quantile(saved, 0.25).toFixed(1)} to ${quantile(saved, 0.75).toFixed(1)}`,
  ];
}

runBench(async () => {
  const options = readNumbers(USAGE, DEFAULTS);
  if (options === undefined) return [];
  if (options.only > TRICKS.length) throw new UsageError(`--only ${options.only}: must be a whole number from 1 to ${TRICKS.length}`);
  const rows: string[][] = [];
  const targets = [];
  for (const trick of options.only === 0 ? TRICKS : TRICKS.slice(options.only - 1, options.only)) {
    process.stdout.write(`${trick.name}\n`);
    using copy = new ProjectCopy(trick.change);
    const pairs = await FIGURES[trick.cost](copy, options);
    rows.push(row(trick, pairs));
    if (!trick.isControl) targets.push(atLeast(`${trick.name} saves`, median(pairs.map(savedPercent)), MIN_SAVED_PERCENT, " %"));
  }
  process.stdout.write(table(["trick", "in its place", "an order", "with", "without", "saves %", "middle half"], rows));
  return targets;
});
