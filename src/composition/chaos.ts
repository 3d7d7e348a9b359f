import type { AdminParts } from "../admin/admin-app.ts";
import { StuckThreads } from "../admin/stuck-threads.ts";
import type { PlacesOrders } from "../engines/engine.ts";
import type { ThreadRuntime } from "../threads/thread-runtime.ts";

/** The faults that operators can cause on purpose. `stickBegun`: a shared word in which the step `stick` counts its starts. */
export function chaosOn(
  runtime: ThreadRuntime,
  stickBegun: SharedArrayBuffer,
  orderService: PlacesOrders,
): NonNullable<AdminParts["chaos"]> {
  const sticking = new StuckThreads(runtime, stickBegun);
  return {
    killThread: () => runtime.killThread(),
    stickThread: (ms) => sticking.stick(ms),
    orderService,
    crash: () => process.kill(process.pid, "SIGKILL"),
  };
}
