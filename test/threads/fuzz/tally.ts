/** Counts what was seen, by kind, over all runs. */
export class Tally {
  readonly #counts = new Map<string, Map<string, number>>();

  add(what: string, kind: string): void {
    const kinds = this.#counts.get(what) ?? new Map<string, number>();
    this.#counts.set(what, kinds.set(kind, (kinds.get(kind) ?? 0) + 1));
  }

  count(what: string, kind: string): number {
    return this.#counts.get(what)?.get(kind) ?? 0;
  }

  toString(): string {
    const line = ([what, kinds]: [string, Map<string, number>]) =>
      `${what}: ${[...kinds]
        .map(([kind, count]) => `${kind} ${count}`)
        .sort()
        .join(", ")}`;
    return [...this.#counts].map(line).sort().join("\n");
  }
}
