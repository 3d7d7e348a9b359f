import type { TaskRunOptions } from "../../../src/threads/index.ts";
import { Random } from "../../fuzz/random.ts";
import { GOOD, HARMFUL, HARMLESS, HOSTILE, SHORT } from "./kinds.ts";
import type { KindName } from "./tasks.ts";

export interface TaskPlan {
  readonly kind: KindName;
  readonly ms: number;
  readonly options: TaskRunOptions;
  /** Its input is what cannot be cloned. */
  readonly unsendable: boolean;
}

/** When a group is canceled. */
export type CancelAt = "before run" | "same turn" | "microtask" | "next turn" | "later" | "when one ended" | "by dispose";

/** With what a group's signal aborts, where it has one. */
export type SignalReason = "nothing" | "cause" | "unknown cause" | "proxy" | "null";

export interface GroupPlan {
  readonly tasks: readonly TaskPlan[];
  /** After each of these many tasks the turn ends before the next is run; undefined: all in one turn. */
  readonly pauseAfter: number | undefined;
  readonly cancels: readonly { readonly at: CancelAt; readonly cause: "superseded" | "deadline" | "other"; readonly ms: number }[];
  readonly signal: { readonly afterMs: number | "before"; readonly reason: SignalReason } | undefined;
  readonly timeoutMs: number | undefined;
  readonly priority: number | undefined;
  /** `scope`: of a `CancelScope` of its own, which is canceled for a cause that the library does not know. */
  readonly parent: "none" | "group" | "scope";
  /** When it is canceled at the latest, after all of its tasks were run. */
  readonly lastMs: number;
}

const CANCELS_AT: readonly CancelAt[] = [
  "before run",
  "same turn",
  "microtask",
  "next turn",
  "later",
  "later",
  "later",
  "when one ended",
  "by dispose",
];
const REASONS: readonly SignalReason[] = ["nothing", "cause", "unknown cause", "proxy", "null"];

/** Draws the whole group before it begins, so that what happens in it changes nothing of what is drawn. */
export function groupPlan(random: Random, run: RunOptions): GroupPlan {
  const isBurst = random.chance(run.burst);
  const tasks = isBurst
    ? burst(random, run)
    : Array.from({ length: 1 + random.below(random.pick([1, 4, 12])) }, () => taskPlan(random, run));
  const cancels = Array.from({ length: random.pick([0, 0, 1, 1, 1, 2, 4]) }, () => ({
    at: random.pick(CANCELS_AT),
    cause: random.pick(["superseded", "deadline", "other"] as const),
    ms: random.below(random.pick([2, 20, 200])),
  }));
  return {
    tasks,
    cancels,
    pauseAfter: random.chance(0.3) ? 1 + random.below(4) : undefined,
    signal: random.chance(0.2) ? { afterMs: random.chance(0.2) ? "before" : random.below(100), reason: random.pick(REASONS) } : undefined,
    timeoutMs: random.chance(0.3) ? random.pick([0, 1, 20, 200]) : undefined,
    priority: random.chance(0.3) ? random.below(3) : undefined,
    parent: random.pick(["none", "none", "none", "group", "scope"]),
    // Sometimes later than the watch of the threads waits for one that stands still.
    lastMs: random.chance(0.03) ? 4_000 : random.pick([50, 300, 300, isBurst ? 2_000 : 600]),
  };
}

function taskPlan(random: Random, run: RunOptions): TaskPlan {
  const draw = random.below(1_000) / 1_000;
  const harmful = run.only === undefined ? HARMFUL : [run.only];
  const kinds = draw < run.harmful ? harmful : draw < run.harmful + run.harmless ? HARMLESS : GOOD;
  let kind = random.pick(kinds);
  // With a large heap it takes the machine's memory, and many seconds.
  if (kind === "outOfMemory" && run.heapMb > 64) kind = "exit";
  return {
    kind,
    ms: random.below(random.pick([2, 20, 80])),
    options: {
      ...(run.exclusive > 0 && random.chance(0.25) && { on: "exclusive" as const }),
      ...(random.chance(0.15) && { idempotent: true }),
    },
    unsendable: random.chance(0.005),
  };
}

function burst(random: Random, run: RunOptions): TaskPlan[] {
  // The first failure ends a burst, so half of them have none.
  const kinds = run.harmless > 0 && random.chance(0.5) ? SHORT : SHORT.slice(0, 3);
  return Array.from({ length: 500 + random.below(4_000) }, () => ({
    kind: random.pick(kinds),
    ms: 0,
    options: {},
    unsendable: false,
  }));
}

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
