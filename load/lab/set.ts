import { atMost, type Target } from "../target.ts";
import { CannotRun, type Experiment } from "./experiment.ts";
import { writeResult } from "./results.ts";
import { runExperiment } from "./run.ts";

/**
 * Runs experiments one after the other, each in its sizes for the lab, and writes what each of them measured to a file of the directory
 * `results`. One that this machine cannot run is left out. One that fails writes nothing, is a missed target, and stops no other. Returns the
 * targets of all; throws what writing throws. Main thread of a command.
 */
export async function runSet(
  experiments: Iterable<readonly [name: string, Experiment]>,
  results: string,
  say: (text: string) => void,
): Promise<Target[]> {
  const targets: Target[] = [];
  const failed: string[] = [];
  for (const [name, experiment] of experiments) {
    try {
      const result = await runExperiment(name, experiment, { sizes: (experiment.lab ?? {}) as Readonly<Record<string, number>>, say });
      writeResult(results, result);
      targets.push(...result.targets.map((target) => ({ ...target, what: `${name}: ${target.what}` })));
    } catch (error) {
      if (error instanceof CannotRun) say(`left out: ${error.message}`);
      else {
        failed.push(name);
        say(`${name} failed: ${(error as Error).stack}`);
      }
    }
  }
  return [...targets, atMost(["experiments that failed", ...failed].join(" "), failed.length, 0)];
}
