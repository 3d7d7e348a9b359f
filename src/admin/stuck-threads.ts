import type { StepRunner } from "../orders/step-runner.ts";
import { CancelScope } from "../threads/index.ts";

// A thread of the exclusive pool that is busy for longer is not waited for.
const BEGIN_TIMEOUT_MS = 5_000;

/** Makes threads misbehave on purpose. Main thread only. */
export class StuckThreads {
  readonly #runner: StepRunner;
  readonly #starts: Int32Array<SharedArrayBuffer>;
  #last: Promise<unknown> = Promise.resolve();

  /** `begun`: a shared Int32, in which the `stick` step counts its starts. */
  constructor(runner: StepRunner, begun: SharedArrayBuffer) {
    this.#runner = runner;
    this.#starts = new Int32Array(begun);
  }

  /**
   * Makes a thread of the exclusive pool compute for `ms` and ignore its cancel. Its step has a group of its own, which is canceled as soon as
   * the step computes, so the thread is replaced about a second after the grace. Resolves at the cancel, with false where no thread began in time.
   */
  stick(ms: number): Promise<boolean> {
    // One after another: the shared count does not say which step has begun.
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
