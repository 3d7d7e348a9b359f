import { Canceled } from "./cancel-cause.ts";
import type { CancelScope } from "./cancel-scope.ts";
import { type Clock, SYSTEM_CLOCK } from "./clock.ts";

/** Resolves after `ms` (0 to 2^31-1); rejects with `Canceled` as soon as the scope is canceled. Any thread. */
export function sleep(ms: number, scope: CancelScope, clock: Clock = SYSTEM_CLOCK): Promise<void> {
  if (scope.cause !== undefined) return Promise.reject(new Canceled(scope.cause));
  return new Promise((resolve, reject) => {
    const stopTimer = clock.after(ms, () => {
      subscription.unsubscribe();
      resolve();
    });
    const subscription = scope.onCancel((cause) => {
      stopTimer();
      reject(new Canceled(cause));
    });
  });
}

/** As `sleep`, but resolves at the cancel too. Gives whether the time has passed. */
export function pause(ms: number, scope: CancelScope, clock?: Clock): Promise<boolean> {
  return sleep(ms, scope, clock).then(
    () => true,
    () => false,
  );
}
