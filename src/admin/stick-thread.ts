import { CancelScope } from "../concurrency/cancel-scope.ts";
import type { StepRunner } from "../orders/step-runner.ts";

// A thread that has not begun within this time has been killed or is hopelessly busy.
const BEGIN_TIMEOUT_MS = 5_000;

/**
 * Makes a thread of the exclusive pool compute for `ms` and ignore everything, in a run of its own that is canceled
 * as soon as it really computes; so the grace ends with that thread being replaced. Resolves at the cancel.
 */
export async function stickThread(runner: StepRunner, begun: SharedArrayBuffer, ms: number): Promise<void> {
  const starts = new Int32Array(begun);
  const before = Atomics.load(starts, 0);
  const scope = new CancelScope();
  const run = runner.open(scope);
  const ended = run.run({ name: "stick", action: "do", computes: true, repeatable: false }, { orderId: "chaos", amount: ms, attempt: 1 });
  void ended.then(() => run.close());
  const wait = Atomics.waitAsync(starts, 0, before, BEGIN_TIMEOUT_MS);
  if (wait.async) await wait.value;
  scope.cancel("shutdown");
}
