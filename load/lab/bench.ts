import { readOptions, UsageError, wholeNumber } from "../options.ts";
import { runBench } from "../run-bench.ts";
import type { Target } from "../target.ts";
import { checkOut } from "./against.ts";
import { updateDocuments } from "./documents.ts";
import type { Experiment } from "./experiment.ts";
import { experimentNamed, experimentNames } from "./experiments.ts";
import { RESULTS, writeResult } from "./results.ts";
import { ratiosAgainst, runExperiment } from "./run.ts";
import { inText } from "./tables.ts";

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

/** Whether anything of it runs the service, or its pipeline, so that `--against` has something to compare. */
function runsTheTree({ variants, defaults }: Experiment): boolean {
  return variants(defaults).some(({ ofTree }) => ofTree);
}

function usageOf(name: string, experiment: Experiment): string {
  const against = runsTheTree(experiment)
    ? "  --against REF       also runs the service as it was at this commit, by turns, and says the ratios\n"
    : "";
  const peer = experiment.peer === undefined ? "" : "  --peer URL          another server that speaks the contract, under the same load\n";
  return `${experiment.question}

usage: npm run bench -- ${name} [options]

${sizeLines(experiment)}${against}${peer}  --results DIR       where the figures are written (default: load/results, from which the documents have their tables; with --against or
                      --peer nowhere)
`;
}

async function list(): Promise<string> {
  const names = experimentNames();
  const lines = await Promise.all(names.map(async (name) => `  ${name.padEnd(18)}${(await experimentNamed(name)).question}\n`));
  return `${USAGE}\n${lines.join("")}\nnpm run bench -- NAME --help has the options of one.\n`;
}

/** Sizes that are given, and the options that the experiment has besides. */
function readArguments(args: readonly string[], experiment: Experiment) {
  const { defaults, peer } = experiment;
  const names = [
    ...Object.keys(defaults),
    "results",
    ...(runsTheTree(experiment) ? ["against"] : []),
    ...(peer === undefined ? [] : ["peer"]),
  ];
  const { help, ...texts } = readOptions(Object.fromEntries(names.map((name) => [name, { type: "string" as const }])), args);
  const given = Object.entries(texts as Readonly<Record<string, string>>).filter(([name]) => name in defaults);
  const sizes = Object.fromEntries(given.map(([name, text]) => [name, wholeNumber(name, text, undefined, defaults[name] === 0 ? 0 : 1)]));
  return { help, sizes, texts: texts as Readonly<Record<string, string | undefined>> };
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
  const { against: ref, peer } = texts;
  if (peer !== undefined && URL.parse(peer)?.protocol !== "http:") throw new UsageError(`--peer ${peer}: must be a URL with http:`);
  await using tree = ref === undefined ? undefined : await checkOut(ref);
  const result = await runExperiment(name, experiment, {
    sizes,
    ...(tree !== undefined && { against: tree }),
    ...(peer !== undefined && { peer }),
    say: (text) => void process.stderr.write(`${text}\n`),
  });
  // What the documents tell has neither an older tree nor another server in it.
  const results = texts.results ?? (ref === undefined && peer === undefined ? RESULTS : undefined);
  if (results !== undefined) writeResult(results, result);
  if (results === RESULTS) updateDocuments(RESULTS);
  process.stdout.write(inText(result));
  if (tree !== undefined) process.stdout.write(`\n${ratiosAgainst(result, tree.name)}`);
  return result.targets;
}

runBench(() => bench(process.argv.slice(2)));
