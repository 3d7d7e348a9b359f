// Timers are counted where they are made and stopped: `process.getActiveResourcesInfo()` leaves out those that
// were unref'ed, and counts the test runner's own, which come and go as they please.
const active = new Set<NodeJS.Timeout>();
const real = { setTimeout, setInterval, clearTimeout, clearInterval };

type Callback = (...values: unknown[]) => void;

globalThis.setTimeout = Object.assign((callback: Callback, ms?: number, ...values: unknown[]) => {
  const timer = real.setTimeout(() => {
    active.delete(timer);
    callback(...values);
  }, ms);
  active.add(timer);
  return timer;
}, setTimeout);

globalThis.setInterval = Object.assign((callback: Callback, ms?: number, ...values: unknown[]) => {
  const timer = real.setInterval(callback, ms, ...values);
  active.add(timer);
  return timer;
}, setInterval);

globalThis.clearTimeout = (timer) => {
  active.delete(timer as NodeJS.Timeout);
  real.clearTimeout(timer);
};

globalThis.clearInterval = (timer) => {
  active.delete(timer as NodeJS.Timeout);
  real.clearInterval(timer);
};

/** Timers and intervals of this thread that have been set, have not fired and were not stopped. */
export function timers(): number {
  return active.size;
}
