import { CancelScope } from "../concurrency/cancel-scope.ts";
import { pause } from "../concurrency/pause.ts";
import type { InspectedThread } from "./inspected-thread.ts";
import { ThreadEnd } from "./thread-end.ts";

/** As `ThreadInspector.cpuProfile`, of a worker thread. Node reaches the thread by an interrupt, so also one that never returns to its event loop. */
export async function cpuProfileOf(thread: InspectedThread, ms: number, stop: CancelScope): Promise<string> {
  const over = new CancelScope();
  using end = new ThreadEnd(thread, () => over.cancel("shutdown"));
  const subscription = stop.onCancel((cause) => over.cancel(cause));
  try {
    const profile = await end.orBefore(thread.worker.startCpuProfile());
    await pause(ms, over);
    return await end.orBefore(profile.stop());
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === "ERR_WORKER_NOT_RUNNING" ? end.error() : error;
  } finally {
    subscription.unsubscribe();
  }
}
