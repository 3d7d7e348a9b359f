import { CancelScope, pause } from "../threads/index.ts";
import { type InspectedThread, ThreadEnd } from "./inspected-thread.ts";

// A function's name and the field after it. Only the names of regular expressions have characters that JSON must escape.
const REGEXP_NAME = /("functionName":")(RegExp: .*?)(","lineNumber":)/gs;

/** Of a worker thread; see `ThreadInspector.cpuProfile`. Node interrupts the thread, so it may compute without returning to its event loop. */
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

/** Makes valid JSON of a profile that V8 has written: V8 does not escape the quotes and backslashes of regular expressions. */
export function mendProfile(json: string): string {
  return json.replace(
    REGEXP_NAME,
    (_all, before: string, name: string, after: string) => before + JSON.stringify(name).slice(1, -1) + after,
  );
}
