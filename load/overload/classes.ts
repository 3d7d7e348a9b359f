import { readNumbers } from "../long-run/numbers.ts";
import { Progress } from "../progress.ts";
import { runBench } from "../run-bench.ts";
import { ServerProcess } from "../server-process.ts";
import { randomFrom } from "../stand-in/random.ts";
import { table } from "../table.ts";
import { atLeast, atMost, type Target } from "../target.ts";
import { type Ended, runPhase } from "./phase.ts";
import { poisson } from "./poisson.ts";

const USAGE = `Urgent, normal and background orders come at random moments, together at four times the rate that five couriers can serve, in several
mixes: how many of each class are admitted, and for how long no background order is.

usage: npm run bench:classes -- [--seconds N] [--seed N]

  --seconds N  how long orders of each mix come (default: 20)
  --seed N     makes the same arrivals again (default: a random one)
`;

const TIMEOUT_MS = 2_000;
const COURIERS = 5;
const PER_SECOND = 4 * COURIERS * 10;
/** The urgencies of each class in the header `Priority`: within a class they make no difference. */
const CLASSES = { urgent: [0, 1, 2], normal: [3], background: [4, 5, 6, 7] };
type Class = keyof typeof CLASSES;
const NAMES = Object.keys(CLASSES) as Class[];
/** Percent of all orders that are urgent, normal and background. */
const MIXES: readonly (readonly [number, number, number])[] = [
  [90, 5, 5],
  [5, 90, 5],
  [5, 5, 90],
  [34, 33, 33],
  [45, 10, 45],
  [10, 45, 45],
];
// Two shares that are equal in truth differ by more in one of a thousand comparisons.
const CHANCE = 3;

interface Admitted {
  readonly came: number;
  readonly admitted: number;
  readonly share: number;
  /** The longest time between two arrivals of admitted orders, or from the beginning or to the end. */
  readonly gapMs: number;
}

function admittedOf(orders: readonly Ended[], arrivalsMs: readonly number[], seconds: number): Admitted {
  const admitted = orders.filter(({ end }) => end !== "refused");
  const moments = [0, ...admitted.map(({ n }) => arrivalsMs[n] ?? 0).sort((a, b) => a - b), seconds * 1_000];
  const gapMs = moments.reduce((longest, ms, n) => Math.max(longest, ms - (moments[n - 1] ?? 0)), 0);
  return { came: orders.length, admitted: admitted.length, share: admitted.length / Math.max(1, orders.length), gapMs };
}

/** By how many standard errors the first share is above the second. */
function above(first: Admitted, second: Admitted): number {
  const together = (first.admitted + second.admitted) / Math.max(1, first.came + second.came);
  const error = Math.sqrt(together * (1 - together) * (1 / Math.max(1, first.came) + 1 / Math.max(1, second.came)));
  return error === 0 ? 0 : (first.share - second.share) / error;
}

runBench(async () => {
  const options = readNumbers(USAGE, { seconds: 20, seed: 1 + Math.floor(Math.random() * 1e8) });
  if (options === undefined) return [];
  const { seconds, seed } = options;
  process.stdout.write(`--seed ${seed}\n`);
  const targets: Target[] = [];
  const rows: string[][] = [];
  for (const mix of MIXES) {
    const name = mix.join("/");
    const random = randomFrom(`${seed} ${name}`);
    const orders = poisson(random, PER_SECOND, seconds, () => {
      const percent = random() * 100;
      const name: Class = percent < mix[0] ? "urgent" : percent < mix[0] + mix[1] ? "normal" : "background";
      return { name, urgency: CLASSES[name][Math.floor(random() * CLASSES[name].length)] };
    });
    const arrivalsMs = orders.map(({ atMs }) => atMs);
    await using server = await ServerProcess.start({ ORDER_TIMEOUT_MS: String(TIMEOUT_MS), COURIER_CAPACITY: String(COURIERS) });
    using progress = new Progress(name, seconds);
    const headers = (n: number) => ({ priority: `u=${orders[n]?.urgency}` });
    const order = { amount: 1200 };
    const { ended, broken } = await runPhase({ port: server.port, arrivalsMs, order, headers, onAnswer: progress.count });
    const [urgent, normal, background] = NAMES.map((one) => {
      const ofClass = ended.filter(({ n }) => orders[n]?.name === one);
      return admittedOf(ofClass, arrivalsMs, seconds);
    }) as [Admitted, Admitted, Admitted];
    const failed = ended.filter(({ end }) => end === "failed").length;
    const admitted = urgent.admitted + normal.admitted + background.admitted;
    const cells = [urgent, normal, background].map((one) => `${one.admitted} of ${one.came}, ${(100 * one.share).toFixed(1)} %`);
    const aDeadline = (background.admitted * TIMEOUT_MS) / (seconds * 1_000);
    rows.push([name, ...cells, aDeadline.toFixed(1), (background.gapMs / 1_000).toFixed(2), String(failed)]);
    targets.push(
      atLeast(`${name}: urgent admitted more often than normal, in standard errors`, above(urgent, normal), -CHANCE),
      atLeast(`${name}: normal admitted more often than background, in standard errors`, above(normal, background), -CHANCE),
      atMost(`${name}: longest time without a background order admitted`, background.gapMs / 1_000, TIMEOUT_MS / 1_000, " s"),
      atMost(`${name}: accepted orders that fail`, (100 * failed) / Math.max(1, admitted), 1, " %"),
      atMost(`${name}: broken connections`, broken, 0),
    );
  }
  const head = ["urgent/normal/background", ...NAMES, "background a deadline's length", "longest without one, s", "failed"];
  process.stdout.write(table(head, rows));
  return targets;
});
