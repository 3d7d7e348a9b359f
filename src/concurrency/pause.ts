import type { CancelScope } from "./cancel-scope.ts";

/** Waits for `ms` (0 to 2^31-1) or until the scope is canceled. Resolves with whether the time has passed. */
export function pause(ms: number, scope: CancelScope): Promise<boolean> {
  if (scope.cause !== undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      subscription.unsubscribe();
      resolve(true);
    }, ms);
    const subscription = scope.onCancel(() => {
      clearTimeout(timer);
      resolve(false);
    });
  });
}
