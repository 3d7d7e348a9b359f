import type { Grant } from "./grants.ts";

/** One unit of a `Capacity`. Give it back with `using` or `release()`; doing both, or twice, throws. */
export class Permit {
  readonly #giveBack: (grant: Grant, cutOff: boolean) => void;
  #grant: Grant | undefined;

  constructor(giveBack: (grant: Grant, cutOff: boolean) => void, grant: Grant) {
    this.#giveBack = giveBack;
    this.#grant = grant;
  }

  /** `cutOff`: the hold would have taken longer, but came too late for that. It says how long holds take at least. */
  release(cutOff = false): void {
    const grant = this.#grant;
    if (grant === undefined) throw new Error("permit released twice");
    this.#grant = undefined;
    this.#giveBack(grant, cutOff);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
