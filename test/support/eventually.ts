import { setTimeout as pause } from "node:timers/promises";

const FIRST_LOOKS_EVERY_MS = 5;
const LOOK_AT_LEAST_EVERY_MS = 50;
// What the pauses add to a wait: a twentieth of it. To look every 5 ms for seconds took more processor time than what was waited for.
const OF_WHAT_IT_HAS_WAITED = 1 / 20;
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
  const beganMs = performance.now();
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    const waitedMs = performance.now() - beganMs;
    if (waitedMs > timeoutMs) throw new Error(`never came: ${what}; last seen: ${JSON.stringify(seen)}`);
    await pause(Math.min(Math.max(FIRST_LOOKS_EVERY_MS, waitedMs * OF_WHAT_IT_HAS_WAITED), LOOK_AT_LEAST_EVERY_MS));
  }
}
