import { Random } from "../../fuzz/random.ts";
import { HOSTILE } from "./kinds.ts";
import type { KindName } from "./tasks.ts";

/** The options of one run: of the library, and of what is done with it. */
export interface RunOptions {
  readonly shared: number;
  readonly exclusive: number;
  readonly exclusiveOnDemand: boolean;
  readonly graceMs: number;
  readonly heapMb: number;
  readonly maxGroups: number;
  readonly maxTasksPerThread: number;
  readonly maxWaiting: number;
  readonly maxGivenUp: number;
  /** How many groups, and how many at one time. */
  readonly groups: number;
  readonly clients: number;
  /** The probability of a task to be hostile, without and with harm to its thread; of a group to be a burst. */
  readonly harmless: number;
  readonly harmful: number;
  readonly burst: number;
  /** All hostile tasks are of this kind. */
  readonly only: KindName | undefined;
  /** How often a thread is killed, on average; 0 for never. */
  readonly killEveryMs: number;
  /** Whether it is closed in the midst of it. */
  readonly closesEarly: boolean;
}

/** The seed of everything that this run draws. */
export function seedOfRun(seed: number, run: number): number {
  return new Random(seed, run).below(2 ** 31);
}

export function runOptions(seed: number): RunOptions {
  const random = new Random(seed, -1);
  const temper = random.pick(["good", "good with kills", "harmless", "hostile", "hostile", "one kind", "one kind"]);
  const only = temper === "one kind" ? random.pick(HOSTILE) : undefined;
  return {
    shared: 1 + random.below(4),
    exclusive: random.below(4),
    exclusiveOnDemand: random.chance(0.5),
    graceMs: random.pick([0, 5, 50, 50, 250, 1_000]),
    heapMb: only === "outOfMemory" ? 48 : random.pick([48, 64, 256]),
    maxGroups: random.pick([5, 10_000, 10_000]),
    maxTasksPerThread: random.pick([3, 100, 100_000, 100_000]),
    maxWaiting: random.pick([50, 100_000, 100_000]),
    maxGivenUp: random.pick([2, 100, 100, 100]),
    groups: 20 + random.below(60),
    clients: 1 + random.below(12),
    harmless: temper === "harmless" || temper === "hostile" ? 0.3 : 0,
    harmful: temper === "hostile" || temper === "one kind" ? random.pick([0.02, 0.1, 0.3]) : 0,
    only,
    burst: random.pick([0, 0.02, 0.1]),
    killEveryMs: temper.startsWith("good") && !temper.endsWith("kills") ? 0 : random.pick([0, 100, 500]),
    closesEarly: random.chance(0.3),
  };
}
