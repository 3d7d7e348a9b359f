/** What a campaign must have seen before its result means anything, each at least once. */
export const SIGHTS = [
  "SIGKILL at random",
  "SIGKILL at a commit",
  "SIGTERM",
  "locked journal",
  "full disk",
  "failed sync",
  "clock set forward",
  "clock set back",
  "backup",
  "restore",
  "confirmed by order",
  "confirmed all",
  "placed",
  "failed",
  "repeat answered from the journal",
  "key refused with another body",
  "id refused with another amount",
  "several at once",
  "hang-up",
  "connection broken by the service",
  "refused without a step",
  "provider hung",
  "provider cut the connection",
  "provider acted late",
  "provider refused",
  "provider failed",
  "provider asked to wait",
  "call after its undo",
  "undone",
  "undone again",
  "retried by an operator",
  "settled by an operator",
  "settle refused during a try",
  "event delivered",
  "event not taken",
  "event repeated",
] as const;

export type Sight = (typeof SIGHTS)[number];

/** Counts what a campaign has seen. */
export class Sights {
  readonly #counts = new Map<Sight, number>();
  readonly #leftOut = new Set<Sight>();

  saw(sight: Sight): void {
    this.#counts.set(sight, this.count(sight) + 1);
  }

  count(sight: Sight): number {
    return this.#counts.get(sight) ?? 0;
  }

  set(sight: Sight, count: number): void {
    this.#counts.set(sight, count);
  }

  /** It cannot be seen here. */
  leaveOut(sight: Sight): void {
    this.#leftOut.add(sight);
  }

  get missing(): Sight[] {
    return SIGHTS.filter((sight) => this.count(sight) === 0 && !this.#leftOut.has(sight));
  }

  toString(): string {
    return SIGHTS.map((sight) => `${sight} ${this.#leftOut.has(sight) ? "left out" : this.count(sight)}`).join(", ");
  }
}
