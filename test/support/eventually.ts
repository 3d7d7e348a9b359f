import { setTimeout as pause } from "node:timers/promises";

const LOOK_EVERY_MS = 5;
// Long past anything that a healthy run takes on one busy core.
const TIMEOUT_MS = 60_000;

/**
 * Looks until `holds` says yes and returns what it saw then. For states that are promised to come, but not when:
 * `timeoutMs` is only how long a broken promise is waited for.
 */
export async function eventually<T>(
  what: string,
  look: () => T | Promise<T>,
  holds: (seen: T) => boolean = Boolean,
  timeoutMs = TIMEOUT_MS,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (performance.now() > end) throw new Error(`never came: ${what}; last seen: ${JSON.stringify(seen)}`);
    await pause(LOOK_EVERY_MS);
  }
}
