import { STEPS } from "../../src/orders/steps.ts";
import { randomFrom } from "../stand-in/random.ts";
import { MOMENTS, type Moment } from "./moments.ts";
import { STORMS, type Storm } from "./providers.ts";

/** Something that goes wrong, or that an operator does to the service as a whole. Times in milliseconds. */
export type Disruption =
  | { readonly kind: "kill" }
  | { readonly kind: "kill at"; readonly moment: Moment; readonly count: number }
  | { readonly kind: "terminate" }
  | { readonly kind: "lock journal"; readonly ms: number }
  | { readonly kind: "full disk"; readonly ms: number }
  | { readonly kind: "failed sync" }
  | { readonly kind: "set clock"; readonly aheadMs: number }
  | { readonly kind: "storm"; readonly storm: Storm; readonly ms: number }
  | { readonly kind: "receiver down"; readonly ms: number }
  | { readonly kind: "back up" }
  | { readonly kind: "restore"; readonly signal: "SIGKILL" | "SIGTERM"; readonly wordAfterMs: number };

/** `pauseMs`: before it. */
export type Planned = Disruption & { readonly pauseMs: number };

// Keys are kept for a day. Two moments of the campaign are never further apart than that.
const MOST_AHEAD_MS = 10 * 60 * 60 * 1000;
const SHARES_OF_IT = [1, 0.1, 0.001] as const;

/**
 * What happens, one after another, without an end. Depends on the seed alone. Each round has everything at least once, in an order of its own;
 * `brief`: once, and short.
 */
export function* scheduleOf(seed: number, { brief, pauseMs }: { brief: boolean; pauseMs: number }): Generator<Planned, never> {
  const random = randomFrom(`${seed} schedule`);
  const below = (count: number) => Math.floor(random() * count);
  const pick = <T>(choices: readonly T[]): T => choices[below(choices.length)] as T;
  const between = (least: number, most: number) => Math.round(least + random() * (most - least));
  const clock = (sign: 1 | -1): Disruption => ({
    kind: "set clock",
    aheadMs: Math.round(sign * random() * pick(SHARES_OF_IT) * MOST_AHEAD_MS),
  });
  const storm = (): Disruption => {
    const action = random() < 0.6 ? "compensate" : "perform";
    return { kind: "storm", storm: { step: pick(STEPS), action, how: pick(STORMS) }, ms: brief ? 300 : between(300, 3_000) };
  };
  const killAt = (moment: Moment): Disruption => ({ kind: "kill at", moment, count: 1 + below(20) });
  const restore = (): Disruption => ({
    kind: "restore",
    signal: pick(["SIGKILL", "SIGTERM"]),
    wordAfterMs: brief ? 300 : between(0, 4_000),
  });

  const always = (): Disruption[] => [
    { kind: "kill" },
    killAt(pick(MOMENTS)),
    { kind: "terminate" },
    { kind: "lock journal", ms: between(200, brief ? 500 : 1_200) },
    { kind: "full disk", ms: between(100, brief ? 300 : 1_500) },
    { kind: "failed sync" },
    clock(1),
    clock(-1),
    storm(),
    { kind: "storm", storm: { step: pick(STEPS), action: "perform", how: "late" }, ms: brief ? 200 : between(200, 1_000) },
    { kind: "receiver down", ms: brief ? 300 : between(500, 3_000) },
    { kind: "back up" },
    restore(),
  ];
  const more = (): Disruption[] => [
    { kind: "kill" },
    { kind: "kill" },
    ...MOMENTS.map(killAt),
    // Longer than the service waits for a lock.
    { kind: "lock journal", ms: between(1_600, 3_000) },
    ...Array.from({ length: 4 }, storm),
    { kind: "back up" },
  ];
  for (;;) {
    const round = brief ? always() : [...always(), ...more()];
    for (let n = round.length - 1; n > 0; n--) {
      const other = below(n + 1);
      [round[n], round[other]] = [round[other] as Disruption, round[n] as Disruption];
    }
    for (const disruption of round) yield { ...disruption, pauseMs: Math.round(random() * 2 * pauseMs) };
  }
}

/** In words, for whoever watches. */
export function describe(planned: Planned): string {
  const { kind, pauseMs, ...more } = planned;
  return [
    `after ${pauseMs} ms: ${kind}`,
    ...Object.values(more).map((value) => (typeof value === "object" ? Object.values(value).join(" ") : value)),
  ].join(" ");
}
