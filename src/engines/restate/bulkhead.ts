import type { CancelCause } from "../../orders/cancel-cause.ts";
import { Canceled, CancelScope, type Capacity, type Permit } from "../../threads/index.ts";

/** A permit of a bulkhead, or undefined when none came free within `timeoutMs`. */
export async function acquireWithin(bulkhead: Capacity, timeoutMs: number): Promise<Permit | undefined> {
  const wait = new CancelScope<CancelCause>();
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
