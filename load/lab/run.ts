import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "../quantile.ts";
import { table } from "../table.ts";
import { short } from "../target.ts";
import { Comparison } from "./comparison.ts";
import { CannotRun, type Experiment, type Round } from "./experiment.ts";
import { commit, digits, machine, type Result, summary } from "./results.ts";

const SCRIPT = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

export interface RunOptions {
  readonly sizes?: Readonly<Record<string, number>>;
  /** `src/main.ts` of another tree, and how it is called: each variant that runs the service also runs there. */
  readonly against?: { readonly name: string; readonly script: string };
  readonly peer?: string;
  /** Leaves out other variants, and all targets. */
  readonly only?: readonly string[];
  readonly say?: (text: string) => void;
}

/** Runs an experiment: all variants by turns, in as many rounds as asked. Throws when an answer was wrong; `CannotRun` where this machine lacks something. */
export async function runExperiment(name: string, experiment: Experiment, options: RunOptions = {}): Promise<Result> {
  const { against, peer, only, say = () => {} } = options;
  const sizes = { ...experiment.defaults, ...options.sizes };
  const missing = experiment.missing?.(sizes);
  if (missing !== undefined) throw new CannotRun(`${name}: ${missing}`);
  const own = experiment.variants(sizes).filter((variant) => only?.includes(variant.name) ?? true);
  const entries = own.flatMap((variant) => [
    { name: variant.name, variant, script: SCRIPT },
    ...(against !== undefined && variant.ofTree ? [{ name: at(variant, against.name), variant, script: against.script }] : []),
  ]);
  if (peer !== undefined && experiment.peer !== undefined) {
    const variant = experiment.peer(peer, sizes);
    entries.push({ name: variant.name, variant, script: SCRIPT });
  }

  const all = entries.map((entry) => ({ ...entry, rounds: [] as Round[] }));
  const { starts = 1, rounds = 1 } = sizes;
  for (let start = 0; start < starts; start++) {
    await using stack = new AsyncDisposableStack();
    const directory = temporaryDirectory(stack);
    const opened: { readonly name: string; readonly rounds: Round[]; readonly round: () => Promise<Round> }[] = [];
    for (const { name: variantName, variant, script, rounds: measured } of all) {
      say(`${name}: ${variantName} starts`);
      const round = await variant.open({ stack, script, directory: mkdtempSync(join(directory, "variant-")) });
      opened.push({ name: variantName, rounds: measured, round });
    }
    for (let round = 0; round < rounds; round++) {
      // Whoever comes first in one round comes last in the next.
      for (const one of round % 2 === 0 ? opened : opened.toReversed()) {
        const measured = await one.round();
        one.rounds.push(measured);
        const seen = Object.entries(measured.figures).slice(0, 3);
        say(
          `${name}: round ${start * rounds + round + 1} of ${starts * rounds}, ${one.name}: ${seen.map(([what, [value, unit]]) => label(what, short(value), unit)).join(", ")}`,
        );
      }
    }
  }
  const seen = new Comparison(new Map(all.map((one) => [one.name, one.rounds])));
  return {
    name,
    question: experiment.question,
    at: new Date().toISOString(),
    commit: commit(),
    machine: machine(),
    settings: sizes,
    variants: all.map((one) => summary(one.name, one.rounds)),
    targets: only === undefined ? experiment.targets(seen, sizes).map((target) => ({ ...target, value: digits(target.value) })) : [],
  };
}

export function at(variant: { readonly name: string }, tree: string): string {
  return `${variant.name} at ${tree}`;
}

function label(what: string, value: string, unit: string): string {
  return what === unit ? `${value} ${unit}` : `${what} ${value}${unit === "" ? "" : ` ${unit}`}`;
}

function temporaryDirectory(stack: AsyncDisposableStack): string {
  const directory = mkdtempSync(join(tmpdir(), "lab-"));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  process.once("exit", remove);
  stack.defer(() => {
    process.off("exit", remove);
    remove();
  });
  return directory;
}

/** Each variant over itself at another commit: medians of the ratios round by round. */
export function ratiosAgainst({ variants }: Result, tree: string): string {
  const pairs = variants.flatMap((variant) => {
    const other = variants.find(({ name }) => name === at(variant, tree));
    return other === undefined ? [] : [{ variant, other }];
  });
  const rows = pairs.flatMap(({ variant, other }) =>
    variant.figures.flatMap(({ name, rounds }, n) => {
      const ratios = rounds.map((value, round) => value / (other.figures[n]?.rounds[round] as number));
      // A count that is 0 at both has no ratio.
      if (ratios.some(Number.isNaN)) return [];
      const shown = [median(ratios), Math.min(...ratios), Math.max(...ratios)];
      return [[`${variant.name}: ${name}`, ...shown.map((ratio) => ratio.toFixed(3))]];
    }),
  );
  return table([`over ${tree}`, "median of rounds", "least", "most"], rows);
}
