import { median } from "../quantile.ts";
import type { Round } from "./experiment.ts";

/** The rounds of all variants: what targets and tables are made of. */
export class Comparison {
  readonly rounds: ReadonlyMap<string, readonly Round[]>;

  constructor(rounds: ReadonlyMap<string, readonly Round[]>) {
    this.rounds = rounds;
  }

  /** A figure of a variant, round by round. Throws when there is none. */
  values(variant: string, figure: string): number[] {
    return (this.rounds.get(variant) ?? []).map(({ figures }) => {
      const [value] = figures[figure] ?? [];
      if (value === undefined) throw new Error(`${variant} has no figure "${figure}"`);
      return value;
    });
  }

  median(variant: string, figure: string): number {
    return median(this.values(variant, figure));
  }

  /** Of one variant to another: the median of the ratios round by round, because the machine's other load changes within seconds. */
  ratio(figure: string, variant: string, base: string): number {
    const bases = this.values(base, figure);
    return median(this.values(variant, figure).map((value, round) => value / (bases[round] as number)));
  }

  most(variant: string, figure: string): number {
    return Math.max(...this.values(variant, figure));
  }
}
