import { Canceled } from "../../concurrency/cancel-cause.ts";
import { CancelScope } from "../../concurrency/cancel-scope.ts";
import type { Capacity, Permit } from "../../permits/capacity.ts";

/** A permit of a bulkhead, or undefined when none came free within `timeoutMs`. */
export async function acquireWithin(bulkhead: Capacity, timeoutMs: number): Promise<Permit | undefined> {
  const wait = new CancelScope();
  const stopTimer = wait.cancelAfter(timeoutMs);
  try {
    return await bulkhead.acquire(wait);
  } catch (error) {
    if (error instanceof Canceled) return undefined;
    throw error;
  } finally {
    stopTimer();
  }
}
