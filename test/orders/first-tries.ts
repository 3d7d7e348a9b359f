import type { Compensator, FailedOrder } from "../../src/orders/compensator.ts";
import type { CompensationTried, NewCompensation } from "../../src/orders/order-journal.ts";
import type { AttemptInput } from "../../src/orders/step.ts";

/** An order that has failed, as the compensator sees it: takes what its first tries come to until its answer is made. */
export class FirstTries implements FailedOrder {
  readonly input: AttemptInput;
  /** Resolves when each has ended. */
  readonly ended: Promise<unknown>;
  #collected: CompensationTried[] | undefined = [];

  constructor(compensator: Compensator, input: AttemptInput, rows: readonly NewCompensation[], ids: readonly number[]) {
    this.input = input;
    this.ended = compensator.begin(this, rows, ids);
  }

  collect(tried: CompensationTried): boolean {
    return this.#collected?.push(tried) !== undefined;
  }

  /** The answer is made: what has come of them until now. */
  answer(): readonly CompensationTried[] {
    const collected = this.#collected ?? [];
    this.#collected = undefined;
    return collected;
  }
}
