import { CancelScope } from "../concurrency/cancel-scope.ts";
import type { StepRunner } from "../orders/step-runner.ts";

// Where every thread of the exclusive pool is busy for that long, none is to be had.
const BEGIN_TIMEOUT_MS = 5_000;

/** Makes threads misbehave on purpose. Main thread only. */
export class StuckThreads {
  readonly #runner: StepRunner;
  readonly #starts: Int32Array<SharedArrayBuffer>;
  #last: Promise<unknown> = Promise.resolve();

  /** `begun`: the shared Int32 in which the `stick` step counts its starts. */
  constructor(runner: StepRunner, begun: SharedArrayBuffer) {
    this.#runner = runner;
    this.#starts = new Int32Array(begun);
  }

  /**
   * Makes a thread of the exclusive pool compute for `ms` and ignore everything, in a group of its own that is canceled as
   * soon as it really computes; so the grace ends with that thread being replaced. Resolves at the cancel, with false
   * when no thread began in time.
   */
  stick(ms: number): Promise<boolean> {
    // One after another: the count does not say whose start it counts.
    const sticking = this.#last.then(() => this.#stick(ms));
    this.#last = sticking.catch(() => {});
    return sticking;
  }

  async #stick(ms: number): Promise<boolean> {
    const before = Atomics.load(this.#starts, 0);
    const scope = new CancelScope();
    const steps = this.#runner.open(scope);
    const step = { name: "stick", action: "perform", computes: true, retryable: false } as const;
    void steps.run(step, { orderId: "chaos", amount: ms, attempt: 1 }).then(() => steps.close());
    const wait = Atomics.waitAsync(this.#starts, 0, before, BEGIN_TIMEOUT_MS);
    const result = wait.async ? await wait.value : wait.value;
    scope.cancel("shutdown");
    return result !== "timed-out";
  }
}
