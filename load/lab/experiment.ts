import type { Target } from "../target.ts";
import type { Comparison } from "./comparison.ts";

/** A figure of one round, with its unit. */
export type Figures = Readonly<Record<string, readonly [value: number, unit: string]>>;

/** What the service did in a part of a second. */
export interface Sample {
  readonly s: number;
  readonly ordersPerSecond: number;
  readonly rssMib: number;
  /** Cores in use, by kind of thread. */
  readonly cpu: Readonly<Record<string, number>>;
}

export type Percentiles = readonly (readonly [percentile: number, ms: number])[];

export interface Round {
  readonly figures: Figures;
  readonly latencyMs?: Percentiles;
  readonly overTime?: readonly Sample[];
}

/** What a variant gets to open itself with. */
export interface Scope {
  /** Whatever is put here is closed when the experiment ends. */
  readonly stack: AsyncDisposableStack;
  /** `src/main.ts` of this tree, or of the one that it is compared with. */
  readonly script: string;
  /** An empty directory, removed at the end. */
  readonly directory: string;
}

/** One way of doing what the experiment measures. */
export interface Variant {
  readonly name: string;
  /** It runs the service, or its pipeline, from the tree of `Scope.script`, so it can be compared with itself at another commit. */
  readonly ofTree?: boolean;
  /** Starts it, and gives what measures one round. A round throws when an answer is wrong. */
  open(scope: Scope): Promise<() => Promise<Round>>;
}

/** An experiment needs what this machine has not; the message is one line. */
export class CannotRun extends Error {}

/** How much of what an experiment does. */
export type Sizes<Size extends string> = Readonly<Record<NoInfer<Size> | "rounds", number>>;

/** A question, and how it is answered. */
export interface Experiment<Size extends string = string> {
  readonly question: string;
  /** Sizes, each an option of the command. */
  readonly defaults: Readonly<Record<Size | "rounds", number>>;
  /** What a size means, where its name does not say it. */
  readonly about?: Readonly<Partial<Record<NoInfer<Size>, string>>>;
  /** Sizes for `npm run lab`, which leaves experiments without them out. */
  readonly lab?: Readonly<{ [Name in NoInfer<Size> | "rounds"]?: number }>;
  /** Why it cannot run on this machine, if so. */
  missing?(sizes: Sizes<Size>): string | undefined;
  variants(sizes: Sizes<Size>): readonly Variant[];
  /** Another server that speaks the contract, under the same load. */
  peer?(url: string, sizes: Sizes<Size>): Variant;
  targets(seen: Comparison, sizes: Sizes<Size>): readonly Target[];
}

/** A variant each of whose rounds starts what it needs; `n` counts them from 0. `ofTree`: as that of the variant. */
export function eachRound(name: string, round: (scope: Scope, n: number) => Promise<Round>, ofTree = true): Variant {
  return {
    name,
    ofTree,
    async open(scope) {
      let rounds = 0;
      return () => round(scope, rounds++);
    },
  };
}

/** Has the compiler infer the names of the sizes. */
export function defineExperiment<Size extends string>(experiment: Experiment<Size>): Experiment {
  return experiment as Experiment;
}
