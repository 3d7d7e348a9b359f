import { atMost, type Target } from "../target.ts";
import { CannotRun } from "./experiment.ts";
import { experimentNamed } from "./experiments.ts";
import { RESULTS, type Result, readResult } from "./results.ts";
import { runExperiment } from "./run.ts";

const WORSE = 1.15;
const CPU = "CPU per order";

/** What of an experiment the gate runs, as short as still says something; the second sizes are for the try that decides. */
const RUNS = {
  express: {
    only: ["bare Express", "journal in memory", "journal in a file"],
    sizes: { warmup: 5, starts: 1, rounds: 3, seconds: 1 },
    again: { warmup: 12, starts: 1, rounds: 9, seconds: 1 },
  },
  storm: { only: ["this pipeline"], sizes: { rounds: 3, seconds: 2 }, again: { rounds: 7, seconds: 3 } },
} as const;

interface Results {
  readonly express: Result;
  readonly storm: Result;
}

/** CPU of an order in proportion to another that was measured beside it: a machine that is slower or busy makes both cost more. */
const FIGURES: Readonly<Record<string, (of: Results) => number>> = {
  "CPU per order over bare Express": ({ express }) => cpuOf(express, "journal in memory") / cpuOf(express, "bare Express"),
  "CPU per order with the journal in a file over that in memory": ({ express }) =>
    cpuOf(express, "journal in a file") / cpuOf(express, "journal in memory"),
  "CPU of an order that fails in a storm over bare Express": ({ express, storm }) =>
    cpuOf(storm, "this pipeline") / cpuOf(express, "bare Express"),
};

/** The least of the rounds: whatever else the machine does only adds to it. */
function cpuOf({ variants, name }: Result, variant: string): number {
  const figure = variants.find((one) => one.name === variant)?.figures.find((one) => one.name === CPU);
  if (figure === undefined) throw new Error(`the results of ${name} have no ${CPU} of "${variant}"`);
  return figure.min;
}

/** How much worse each figure is than in the results that are kept. */
export function compared(now: Results, kept: Results): Target[] {
  return Object.entries(FIGURES).map(([what, of]) => atMost(`${what}, over that of the last results`, of(now) / of(kept), WORSE));
}

/** Whether all rounds of each variant cost about the same. */
export function isSteady({ express, storm }: Results): boolean {
  const figures = [...express.variants, ...storm.variants].flatMap((variant) => variant.figures.filter(({ name }) => name === CPU));
  return figures.every(({ median, min }) => median <= WORSE * min);
}

/** Runs the gate. What is worse must be so a second time, in more rounds. */
export async function gate(say: (text: string) => void): Promise<Target[]> {
  const kept = await bothOf(async (name) => {
    const result = readResult(RESULTS, name);
    if (result === undefined) throw new CannotRun(`load/results/${name}.json is not there: npm run lab writes it`);
    return result;
  });
  const once = compared(await bothOf(async (name) => run(name, RUNS[name].sizes, say)), kept);
  if (once.every(({ met }) => met)) return once;
  say("worse than the last results: once more, in more rounds");
  const again = await bothOf(async (name) => run(name, RUNS[name].again, say));
  const twice = compared(again, kept);
  if (twice.every(({ met }) => met) || isSteady(again)) return twice;
  say("nothing is judged: the rounds differ by more than what is looked for, so this machine does something else besides");
  return [];
}

async function run(name: keyof typeof RUNS, sizes: Readonly<Record<string, number>>, say: (text: string) => void): Promise<Result> {
  return await runExperiment(name, await experimentNamed(name), { sizes, only: RUNS[name].only, say });
}

async function bothOf(one: (name: keyof typeof RUNS) => Promise<Result>): Promise<Results> {
  return { express: await one("express"), storm: await one("storm") };
}
