import type { CancelScope } from "./cancel-scope.ts";
import { type Clock, SYSTEM_CLOCK } from "./clock.ts";

/** Waits for `ms` (0 to 2^31-1) or until the scope is canceled. Resolves with whether the time has passed. */
export function pause(ms: number, scope: CancelScope, clock: Clock = SYSTEM_CLOCK): Promise<boolean> {
  if (scope.cause !== undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    const stopTimer = clock.after(ms, () => {
      subscription.unsubscribe();
      resolve(true);
    });
    const subscription = scope.onCancel(() => {
      stopTimer();
      resolve(false);
    });
  });
}
