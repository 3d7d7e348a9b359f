import { readOptions } from "../options.ts";
import { runBench } from "../run-bench.ts";
import type { Target } from "../target.ts";
import { updateDocuments } from "./documents.ts";
import { CannotRun } from "./experiment.ts";
import { experimentNamed, experimentNames } from "./experiments.ts";
import { gate } from "./gate.ts";
import { writeReport } from "./report.ts";
import { RESULTS, writeResult } from "./results.ts";
import { runExperiment } from "./run.ts";

const REPORT = "load/results/report.html";
const USAGE = `Runs the experiments that take seconds to a minute, a quarter of an hour in all on two quiet cores. Writes what each of them measured
to load/results/NAME.json, a report of all results that are there, and the tables of the documents.
Exit code 0: all targets are met; 1: one is missed; 2: wrong usage.

usage: npm run lab -- [options]

  --only NAME    this experiment; may be given several times (default: all that have sizes for it)
  --results DIR  where the figures are written, and read for the report (default: load/results)
  --report FILE  where the report is written (default: ${REPORT})
  --gate         under a minute, for CI: fails where an order costs over 15 % more CPU than in the results that are kept, each in proportion
                 to what was measured beside it; writes nothing
`;

const say = (text: string): void => void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);

async function lab(only: readonly string[], results: string): Promise<Target[]> {
  const targets: Target[] = [];
  for (const name of only.length > 0 ? only : experimentNames()) {
    const experiment = await experimentNamed(name);
    if (only.length === 0 && experiment.lab === undefined) continue;
    try {
      const result = await runExperiment(name, experiment, { sizes: (experiment.lab ?? {}) as Readonly<Record<string, number>>, say });
      writeResult(results, result);
      targets.push(...result.targets.map((target) => ({ ...target, what: `${name}: ${target.what}` })));
    } catch (error) {
      if (!(error instanceof CannotRun)) throw error;
      say(`left out: ${error.message}`);
    }
  }
  return targets;
}

runBench(async () => {
  const options = readOptions({
    only: { type: "string", multiple: true, default: [] as string[] },
    results: { type: "string", default: RESULTS },
    report: { type: "string", default: REPORT },
    gate: { type: "boolean", default: false },
  });
  if (options.help) {
    process.stdout.write(USAGE);
    return [];
  }
  if (options.gate) return await gate(say);
  const targets = await lab(options.only, options.results);
  writeReport(options.results, options.report);
  if (options.results === RESULTS) updateDocuments(RESULTS);
  process.stdout.write(`the report: ${options.report}\n`);
  return targets;
});
