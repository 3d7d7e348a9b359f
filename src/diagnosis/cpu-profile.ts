import { CancelScope } from "../concurrency/cancel-scope.ts";
import { pause } from "../concurrency/pause.ts";
import { type InspectedThread, ThreadEnd } from "./inspected-thread.ts";

// A function's name and what follows it. Of all names only those of regular expressions hold what JSON has to escape.
const REGEXP_NAME = /("functionName":")(RegExp: .*?)(","lineNumber":)/gs;

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

/** The JSON text of a profile as V8 writes it, mended: it leaves quotes and backslashes in the sources of regular expressions as they are. */
export function mendProfile(json: string): string {
  return json.replace(
    REGEXP_NAME,
    (_all, before: string, name: string, after: string) => before + JSON.stringify(name).slice(1, -1) + after,
  );
}
