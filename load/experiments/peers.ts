import { fork } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Comparison } from "../lab/comparison.ts";
import { defineExperiment, eachRound, type Figures, type Round, type Variant } from "../lab/experiment.ts";
import type { FirstFailure } from "../peers/first-failure/run.ts";
import { BESIDE_INNOCENTS, INNOCENTS_LOST, INNOCENTS_THREADS } from "../peers/measures.ts";
import { OWN, PEERS, type Peer } from "../peers/pools.ts";
import { atLeast, atMost, type Target } from "../target.ts";

const STOPS = "first failure stops the rest";
const TRIES = 5;

/**
 * Runs a script of `load/peers` in a process of its own and gives what it sends, once it has ended: it must not be in the way of the next.
 * Rejects when it ends without a word.
 */
function forked<Answer>(script: string, ...args: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // Its output goes to stderr, so that stdout has the table alone.
    const child = fork(fileURLToPath(new URL(`../peers/${script}`, import.meta.url)), args, { stdio: ["ignore", 2, 2, "ipc"] });
    let answer: Answer | undefined;
    child.once("message", (message) => {
      answer = message as Answer;
    });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (answer !== undefined) resolve(answer);
      else reject(new Error(`${script} ${args.join(" ")} ended with ${signal ?? code} and no figures`));
    });
  });
}

/** Lines of what a user of the peer writes for that, without empty lines, comments and imports. */
function linesOf(peer: string): number {
  const folder = new URL(`../peers/first-failure/${peer}/`, import.meta.url);
  const lines = readdirSync(folder).flatMap((name) => readFileSync(new URL(name, folder), "utf8").split("\n"));
  return lines.filter((line) => line.trim() !== "" && !/^\s*(\/\/|import )/.test(line)).length;
}

/** On a busy machine the tasks may not have begun when one of them fails: that says nothing of the peer. */
async function firstFailure(name: string): Promise<boolean> {
  for (let tries = 0; tries < TRIES; tries++) {
    const { began, failed, stopped } = await forked<FirstFailure>("first-failure/run.ts", name);
    if (began) return failed && stopped;
  }
  return false;
}

function variant(name: string, { title }: Peer, seconds: number): Variant {
  const round = async (): Promise<Round> => {
    const measured = await forked<Figures>("child.ts", name, String(seconds));
    const memory = await forked<Figures>("child.ts", name, "memory");
    const stops = await firstFailure(name);
    return {
      figures: { ...measured, ...memory, [STOPS]: [stops ? 1 : 0, ""], "lines for that": [linesOf(name), ""] },
    };
  };
  return eachRound(title, round, false);
}

/** What the library has to show, whatever its peers do and however fast the machine is. */
export function targetsOf(seen: Comparison): Target[] {
  const { title } = PEERS[OWN] as Peer;
  const threadsLost = [...Object.keys(seen.rounds.get(title)?.[0]?.figures ?? {})].filter((figure) => figure.endsWith(": threads lost"));
  return [
    atLeast("cancels of this library beside innocents", seen.median(title, BESIDE_INNOCENTS), 1),
    atMost("innocents that it lost by them", seen.most(title, INNOCENTS_LOST), 0),
    atMost("threads that it lost", Math.max(...[INNOCENTS_THREADS, ...threadsLost].map((figure) => seen.most(title, figure))), 0),
  ];
}

export const experiment = defineExperiment({
  question: "How does the library of threads run and cancel tasks, beside Piscina, tinypool, workerpool, poolifier and plain Workers?",
  defaults: { rounds: 3, seconds: 5 },
  about: { seconds: "of a round of each, shared by its measures" },
  lab: { rounds: 1, seconds: 2 },
  variants: ({ seconds }) => Object.entries(PEERS).map(([name, peer]) => variant(name, peer, seconds)),
  targets: (seen) => [
    ...targetsOf(seen),
    ...Object.values(PEERS).map(({ title }) =>
      atLeast(`${title}: rounds in which the first failure stopped the rest`, Math.min(...seen.values(title, STOPS)), 1),
    ),
  ],
});
