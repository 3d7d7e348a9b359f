import { readOptions } from "../options.ts";
import { runBench } from "../run-bench.ts";
import { updateDocuments } from "./documents.ts";
import type { Experiment } from "./experiment.ts";
import { experimentNamed, experimentNames } from "./experiments.ts";
import { gate } from "./gate.ts";
import { writeReport } from "./report.ts";
import { RESULTS } from "./results.ts";
import { runSet } from "./set.ts";

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
  const isOfSet = ({ lab }: Experiment): boolean => options.only.length > 0 || lab !== undefined;
  const named: [string, Experiment][] = [];
  for (const name of options.only.length > 0 ? options.only : experimentNames()) named.push([name, await experimentNamed(name)]);
  const targets = await runSet(
    named.filter(([, experiment]) => isOfSet(experiment)),
    options.results,
    say,
  );
  writeReport(options.results, options.report);
  if (options.results === RESULTS) updateDocuments(RESULTS);
  process.stdout.write(`the report: ${options.report}\n`);
  return targets;
});
