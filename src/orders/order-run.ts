import { CancelScope } from "../concurrency/cancel-scope.ts";
import type { StoredAnswer } from "./order-journal.ts";
import type { StepInput } from "./step.ts";

/** One attempt at an order in flight, and who waits for it. */
export class OrderRun {
  readonly scope = new CancelScope();
  readonly input: StepInput;
  readonly answer: Promise<StoredAnswer>;
  /** For `OrderRuns`. */
  nextInBucket: OrderRun | undefined;
  #waiters = 0;

  constructor(input: StepInput, work: (run: OrderRun) => Promise<StoredAnswer>) {
    this.input = input;
    this.answer = work(this);
  }

  /** Somebody waits for the answer from now on. Returns how to leave; when the last one has left, the order is canceled. */
  join(): () => void {
    this.#waiters++;
    let here = true;
    return () => {
      if (!here) return;
      here = false;
      this.#waiters--;
      // After the end of the order this cancels nothing any more.
      if (this.#waiters === 0) this.scope.cancel("client_disconnected");
    };
  }
}
