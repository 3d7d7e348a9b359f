/** How many commits carried how many requests, in steps of powers of two. */
export class CommitSizes {
  readonly #counts: number[] = [];

  record(requests: number): void {
    const step = requests <= 1 ? 0 : 32 - Math.clz32(requests - 1);
    while (this.#counts.length <= step) this.#counts.push(0);
    this.#counts[step] = (this.#counts[step] ?? 0) + 1;
  }

  /** Commits with up to `upTo` requests and more than the step before, smallest first. */
  steps(): { upTo: number; commits: number }[] {
    return this.#counts.map((commits, step) => ({ upTo: 2 ** step, commits }));
  }
}
