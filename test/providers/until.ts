import { setTimeout as sleep } from "node:timers/promises";

const PATIENCE_MS = 60_000;

/** Waits until `holds`, a millisecond at a time; throws after a minute. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + PATIENCE_MS;
  while (!holds()) {
    if (performance.now() > giveUpAt) throw new Error(`still not so after ${PATIENCE_MS / 1000} s: ${what}`);
    await sleep(1);
  }
}
