import { randomFrom } from "../../load/stand-in/random.ts";

/** The words of a text, as they are written. */
export function words(text: TemplateStringsArray): string[] {
  return String.raw(text).trim().split(/\s+/);
}

/** Choices that depend on nothing but a seed. */
export class Random {
  readonly #next: () => number;

  /** `n`: each case of a run has choices of its own, so that one case can be made again without those before it. */
  constructor(seed: number, n: number) {
    this.#next = randomFrom(Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(n + 1, 0xc2b2ae35));
  }

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    return Math.floor(this.#next() * below);
  }

  /** Whether something happens that has this probability, 0 to 1. */
  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)];
    if (choice === undefined) throw new RangeError("nothing to pick from");
    return choice;
  }
}
