import { setTimeout as sleep } from "node:timers/promises";

/** Waits until `holds`, a millisecond at a time; throws after five seconds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 5000;
  while (!holds()) {
    if (performance.now() > giveUpAt) throw new Error(`still not so after 5 s: ${what}`);
    await sleep(1);
  }
}
