import { defineExperiment, eachRound, type Variant } from "../lab/experiment.ts";
import { type Ended, poisson, sendOrders } from "../lab/random-orders.ts";
import { ServerProcess } from "../server-process.ts";
import { randomFrom } from "../stand-in/random.ts";
import { atLeast, atMost } from "../target.ts";

const TIMEOUT_MS = 2_000;
const COURIERS = 5;
const PER_SECOND = 4 * COURIERS * 10;
/** The urgencies of each class in the header `Priority`: within a class they make no difference. */
const CLASSES = { urgent: [0, 1, 2], normal: [3], background: [4, 5, 6, 7] };
type Class = keyof typeof CLASSES;
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
  /** The longest time in which none was placed. */
  readonly withoutPlacedMs: number;
  /**
   * The longest time in which none came that was admitted. That is no target: what is admitted gets its place in the line, some of it in
   * advance. Of three that came together and are served one after the other, two have had what would have been the turn of the next.
   */
  readonly withoutAdmittedMs: number;
}

/** The longest time between two of these moments, or from the beginning or to the end. */
function longestGapMs(momentsMs: readonly number[], endMs: number): number {
  const moments = [0, ...momentsMs.filter((ms) => ms < endMs).sort((a, b) => a - b), endMs];
  return moments.reduce((longest, ms, n) => Math.max(longest, ms - (moments[n - 1] ?? 0)), 0);
}

function admittedOf(orders: readonly Ended[], arrivalsMs: readonly number[], seconds: number): Admitted {
  const admitted = orders.filter(({ end }) => end !== "refused");
  const placed = orders.filter(({ end }) => end === "placed");
  const endMs = seconds * 1_000;
  return {
    came: orders.length,
    admitted: admitted.length,
    share: admitted.length / Math.max(1, orders.length),
    withoutPlacedMs: longestGapMs(
      placed.map(({ doneMs }) => doneMs),
      endMs,
    ),
    withoutAdmittedMs: longestGapMs(
      admitted.map(({ n }) => arrivalsMs[n] ?? 0),
      endMs,
    ),
  };
}

/** By how many standard errors the first share is above the second. */
function above(first: Admitted, second: Admitted): number {
  const together = (first.admitted + second.admitted) / Math.max(1, first.came + second.came);
  const error = Math.sqrt(together * (1 - together) * (1 / Math.max(1, first.came) + 1 / Math.max(1, second.came)));
  return error === 0 ? 0 : (first.share - second.share) / error;
}

function variant(mix: readonly [number, number, number], seconds: number, seed: number): Variant {
  const name = mix.join("/");
  return eachRound(name, async ({ script }, round) => {
    const random = randomFrom(`${seed + round} ${name}`);
    const orders = poisson(random, PER_SECOND, seconds, () => {
      const percent = random() * 100;
      const name: Class = percent < mix[0] ? "urgent" : percent < mix[0] + mix[1] ? "normal" : "background";
      return { name, urgency: CLASSES[name][Math.floor(random() * CLASSES[name].length)] };
    });
    const arrivalsMs = orders.map(({ atMs }) => atMs);
    await using server = await ServerProcess.start({ ORDER_TIMEOUT_MS: String(TIMEOUT_MS), COURIER_CAPACITY: String(COURIERS) }, script);
    const ended = await sendOrders(server.port, arrivalsMs, { amount: 1200 }, (n) => ({ priority: `u=${orders[n]?.urgency}` }));
    const of = (name: Class) =>
      admittedOf(
        ended.filter(({ n }) => orders[n]?.name === name),
        arrivalsMs,
        seconds,
      );
    const [urgent, normal, background] = [of("urgent"), of("normal"), of("background")];
    const failed = ended.filter(({ end }) => end === "failed").length;
    const admitted = urgent.admitted + normal.admitted + background.admitted;
    return {
      figures: {
        "urgent admitted": [100 * urgent.share, "%"],
        "normal admitted": [100 * normal.share, "%"],
        "background admitted": [100 * background.share, "%"],
        "urgent above normal": [above(urgent, normal), "standard errors"],
        "normal above background": [above(normal, background), "standard errors"],
        "background in a deadline's length": [(background.admitted * TIMEOUT_MS) / (seconds * 1_000), ""],
        "longest without background placed": [background.withoutPlacedMs / 1_000, "s"],
        "longest without background admitted": [background.withoutAdmittedMs / 1_000, "s"],
        "accepted and failed": [(100 * failed) / Math.max(1, admitted), "%"],
      },
    };
  });
}

export const experiment = defineExperiment({
  question: "Which orders are admitted of urgent, normal and background ones, when four times as many come as can be served?",
  defaults: { rounds: 1, seconds: 20, seed: 1 },
  about: { seed: "of the moments at which orders come" },
  lab: { seconds: 6 },
  variants: ({ seconds, seed }) => MIXES.map((mix) => variant(mix, seconds, seed)),
  targets: (seen) =>
    MIXES.map((mix) => mix.join("/")).flatMap((name) => [
      atLeast(`${name}: urgent admitted more often than normal, in standard errors`, seen.median(name, "urgent above normal"), -CHANCE),
      atLeast(
        `${name}: normal admitted more often than background, in standard errors`,
        seen.median(name, "normal above background"),
        -CHANCE,
      ),
      atMost(
        `${name}: longest time without a background order placed`,
        seen.median(name, "longest without background placed"),
        TIMEOUT_MS / 1_000,
        " s",
      ),
      atMost(`${name}: accepted orders that fail`, seen.median(name, "accepted and failed"), 1, " %"),
    ]),
});
