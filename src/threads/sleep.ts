import type { Cancelable } from "./cancelable.ts";
import { Canceled } from "./canceled.ts";
import { type Clock, SYSTEM_CLOCK } from "./clock.ts";

/** Resolves after `ms` (0 to 2^31-1); rejects with `Canceled` as soon as it is canceled. Any thread. */
export function sleep(ms: number, scope: Cancelable, clock: Clock = SYSTEM_CLOCK): Promise<void> {
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
export function pause(ms: number, scope: Cancelable, clock?: Clock): Promise<boolean> {
  return sleep(ms, scope, clock).then(
    () => true,
    () => false,
  );
}

/** Resolves when the work is done or `ms` (0 to 2^31-1) have passed, whichever is first; the work goes on. Rejects as the work does. */
export async function atMost(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  try {
    await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
