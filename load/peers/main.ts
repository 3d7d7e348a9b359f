import { readFileSync } from "node:fs";
import { readNumbers } from "../long-run/numbers.ts";
import { runBench } from "../run-bench.ts";
import { atMost, type Target } from "../target.ts";
import type { FirstFailure } from "./first-failure/outcome.ts";
import { forked } from "./forked.ts";
import type { Measured } from "./measure.ts";
import type { Memory } from "./memory.ts";
import { PEERS } from "./peers.ts";
import { markdown, type Rounds } from "./rows.ts";
import { targetsOf } from "./targets.ts";

const USAGE = `The library of threads beside other ways to run tasks on threads and to cancel them: by turns, each in a process of its own.
Prints a table in Markdown. Linux only.

usage: npm run bench:peers -- [--seconds N] [--rounds N]

  --seconds N  of each round of each peer, shared by its measures (default: 5)
  --rounds N   of each peer, by turns (default: 3)

Peers: ${Object.keys(PEERS).join(", ")}.
`;

function say(what: string): void {
  process.stderr.write(`${what}\n`);
}

async function firstFailures(names: readonly string[]): Promise<number> {
  let wrong = 0;
  for (const name of names) {
    const { began, failed, stopped } = await forked<FirstFailure>("./first-failure/run.ts", [name]);
    if (began && failed && stopped) continue;
    wrong++;
    say(`${name}: the first failure did not stop the rest (began: ${began}, failed: ${failed}, stopped: ${stopped})`);
  }
  return wrong;
}

function versions(): string {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const installed: Record<string, string> = { ...dependencies, ...devDependencies };
  return [
    `Node ${process.versions.node}`,
    ...Object.keys(PEERS).flatMap((name) => (installed[name] ? `${name} ${installed[name]}` : [])),
  ].join(", ");
}

runBench(async (): Promise<readonly Target[]> => {
  const options = readNumbers(USAGE, { seconds: 5, rounds: 3 });
  if (options === undefined) return [];
  const all = Object.entries(PEERS).map(([name, peer]): Rounds => ({ name, peer, figures: [], memory: [] }));
  for (let round = 1; round <= options.rounds; round++) {
    for (const { name, figures, memory } of all) {
      say(`round ${round} of ${options.rounds}: ${name}`);
      figures.push(await forked<Measured>("./child.ts", [name, String(options.seconds)]));
      memory.push(await forked<Memory>("./child.ts", [name, "memory"]));
    }
  }
  say("first failure stops the rest");
  const wrong = await firstFailures(Object.keys(PEERS));
  process.stdout.write(`${markdown(all)}\n${versions()}\n`);
  return [...targetsOf(all), atMost("peers with which a first failure did not stop the rest", wrong, 0)];
});
