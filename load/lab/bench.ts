import { parseArgs } from "node:util";
import { UsageError } from "../options.ts";
import { runBench } from "../run-bench.ts";
import type { Target } from "../target.ts";
import { checkOut } from "./against.ts";
import type { Experiment } from "./experiment.ts";
import { experimentNamed, experimentNames } from "./experiments.ts";
import { RESULTS, writeResult } from "./results.ts";
import { ratiosAgainst, runExperiment, tablesOf } from "./run.ts";

const USAGE = `Runs an experiment: its variants by turns, every answer checked. Prints medians with the least and the most, and writes
load/results/NAME.json. Exit code 0: all targets are met; 1: one is missed, or an answer was wrong; 2: wrong usage.

usage: npm run bench -- [NAME [options]]
`;

function sizeLines({ defaults, about = {} }: Experiment): string {
  const ordinary: Record<string, string> = {
    rounds: "of each variant, by turns",
    seconds: "of one round",
    warmup: "seconds for each process",
  };
  return Object.entries(defaults)
    .map(([size, value]) => `  ${`--${size} N`.padEnd(20)}${about[size] ?? ordinary[size] ?? ""} (default: ${value})\n`)
    .join("");
}

function usageOf(name: string, experiment: Experiment): string {
  const peer = experiment.peer === undefined ? "" : "  --peer URL          another server that speaks the contract, under the same load\n";
  return `${experiment.question}

usage: npm run bench -- ${name} [options]

${sizeLines(experiment)}  --against REF       also runs the service as it was at this commit, by turns, and says the ratios
${peer}  --results DIR       where the figures are written (default: load/results)
`;
}

async function list(): Promise<string> {
  const names = experimentNames();
  const lines = await Promise.all(names.map(async (name) => `  ${name.padEnd(18)}${(await experimentNamed(name)).question}\n`));
  return `${USAGE}\n${lines.join("")}\nnpm run bench -- NAME --help has the options of one.\n`;
}

function readArguments(args: readonly string[], experiment: Experiment) {
  const sizes = Object.keys(experiment.defaults);
  const options = [...sizes, "against", "results", ...(experiment.peer === undefined ? [] : ["peer"])];
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { help: { type: "boolean", short: "h" }, ...Object.fromEntries(options.map((name) => [name, { type: "string" as const }])) },
    });
    const texts = values as Readonly<Record<string, string | undefined>>;
    const given = sizes.flatMap((size) => (texts[size] === undefined ? [] : [[size, wholeNumber(size, texts[size])] as const]));
    return { help: values.help === true, sizes: Object.fromEntries(given), texts };
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError((error as Error).message);
  }
}

function wholeNumber(size: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--${size} ${text}: must be a whole number, 1 or more`);
  return Number(text);
}

async function bench([name, ...rest]: readonly string[]): Promise<readonly Target[]> {
  if (name === undefined || name === "--help" || name === "-h") {
    process.stdout.write(await list());
    return [];
  }
  if (name.startsWith("-")) throw new UsageError(`${name}: the name of an experiment comes first`);
  const experiment = await experimentNamed(name);
  const { help, sizes, texts } = readArguments(rest, experiment);
  if (help) {
    process.stdout.write(usageOf(name, experiment));
    return [];
  }
  const { against: ref, peer, results = RESULTS } = texts;
  if (peer !== undefined && !URL.canParse(peer)) throw new UsageError(`--peer ${peer}: must be a URL`);
  await using tree = ref === undefined ? undefined : await checkOut(ref);
  const result = await runExperiment(name, experiment, {
    sizes,
    ...(tree !== undefined && { against: tree }),
    ...(peer !== undefined && { peer }),
    say: (text) => void process.stderr.write(`${text}\n`),
  });
  writeResult(results, result);
  process.stdout.write(tablesOf(result));
  if (tree !== undefined) process.stdout.write(`\n${ratiosAgainst(result, tree.name)}`);
  return result.targets;
}

runBench(() => bench(process.argv.slice(2)));
