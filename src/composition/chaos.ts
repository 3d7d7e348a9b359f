import type { AdminParts } from "../admin/admin-app.ts";
import { StuckThreads } from "../admin/stuck-threads.ts";
import type { OrderService } from "../orders/order-service.ts";
import type { StepRunner } from "../orders/step-runner.ts";
import type { Threads } from "../threads/index.ts";

/** The faults that operators can cause on purpose. `stickBegun`: a shared word in which the step `stick` counts its starts. */
export function chaosOn(
  threads: Pick<Threads, "killThread">,
  runner: StepRunner,
  stickBegun: SharedArrayBuffer,
  orderService: OrderService,
): NonNullable<AdminParts["chaos"]> {
  const sticking = new StuckThreads(runner, stickBegun);
  return {
    killThread: () => threads.killThread(),
    stickThread: (ms) => sticking.stick(ms),
    orderService,
    crash: () => process.kill(process.pid, "SIGKILL"),
  };
}
