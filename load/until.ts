import { setTimeout as pause } from "node:timers/promises";

const LOOK_EVERY_MS = 20;
const TIMEOUT_MS = 60_000;

/** Waits until a condition holds. Throws, naming it, when that takes longer than a minute. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + TIMEOUT_MS;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`gave up waiting until ${what}`);
    await pause(LOOK_EVERY_MS);
  }
}
