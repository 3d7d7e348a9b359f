import type { AdminParts } from "../admin/admin-app.ts";
import { StuckThreads } from "../admin/stuck-threads.ts";
import type { PlacesOrders } from "../engines/engine.ts";
import type { ThreadRuntime } from "../threads/thread-runtime.ts";

/** The trouble that can be made on purpose. `stickBegun`: what a step that sticks says that by. */
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
