import type { CompensationTried } from "./order-journal.ts";

/** The first tries of one failed attempt: what has come of them is stored with the answer, from then on each by itself. */
export class FirstTries {
  /** Resolves when each has ended. Never rejects. */
  readonly ended: Promise<void>;
  readonly #storeAlone: (tried: CompensationTried) => Promise<void>;
  #collected: CompensationTried[] | undefined = [];

  /** `tries`: undefined of one that a stop cut off. They never reject. */
  constructor(tries: readonly Promise<CompensationTried | undefined>[], storeAlone: (tried: CompensationTried) => Promise<void>) {
    this.#storeAlone = storeAlone;
    this.ended = Promise.all(tries.map((one) => one.then((tried) => this.#end(tried)))).then(() => {});
  }

  /** What has come of them. To be called once; the caller stores it. */
  collect(): readonly CompensationTried[] {
    const collected = this.#collected ?? [];
    this.#collected = undefined;
    return collected;
  }

  #end(tried: CompensationTried | undefined): Promise<void> | undefined {
    if (tried === undefined) return undefined;
    if (this.#collected === undefined) return this.#storeAlone(tried);
    this.#collected.push(tried);
    return undefined;
  }
}
