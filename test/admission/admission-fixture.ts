import { setImmediate as drainMicrotasks } from "node:timers/promises";
import { Admission } from "../../src/admission/admission.ts";
import { CancelScope, Capacity, type Permit } from "../../src/threads/index.ts";

export const LOOK_MS = 100;
export const [URGENT, NORMAL, BACKGROUND] = [0, 1, 2];

/** An admission over five couriers that are known to be held for 100 ms each, and two threads that compute, in virtual time. */
export function admissionFixture({ orderTimeoutMs = 2_000, maxInFlight = 10_000, holdMs = 100 as number | "unknown" } = {}) {
  const state = { nowMs: 0, inFlight: 0, behind: [0, 0, 0] };
  const options = { nowMs: () => state.nowMs, patienceMs: orderTimeoutMs };
  const courier = new Capacity(5, options);
  const exclusive = new Capacity(2, options);
  if (holdMs !== "unknown") courier.holdTime().add(holdMs);
  const admission = new Admission({
    capacities: [courier],
    exclusive,
    computingBehind: () => state.behind,
    inFlight: () => state.inFlight,
    maxInFlight,
    orderTimeoutMs,
    nowMs: () => state.nowMs,
  });
  admission.tick();
  const admits = (priority = NORMAL, computing: string[] = []) => admission.admit(priority, computing) === undefined;
  /** How many of a burst are admitted, none of which has come to its capacity yet. */
  const burst = (count: number, priority?: number, computing?: string[]) =>
    Array.from({ length: count }, () => admits(priority, computing)).filter(Boolean).length;
  const look = (times = 1) => {
    for (let n = 0; n < times; n++) {
      state.nowMs += LOOK_MS;
      admission.tick();
    }
  };
  const permits: Permit[] = [];
  /** So many ask for a courier. */
  const wait = (count: number, priority?: number) => {
    const scope = new CancelScope();
    for (let n = 0; n < count; n++)
      courier.acquire(scope, priority).then(
        (permit) => permits.push(permit),
        () => {},
      );
    return scope;
  };
  /** The oldest holder gives its courier back. */
  const release = async () => {
    await drainMicrotasks();
    permits.shift()?.release();
    await drainMicrotasks();
  };
  return { admission, courier, exclusive, state, admits, burst, look, wait, release };
}
