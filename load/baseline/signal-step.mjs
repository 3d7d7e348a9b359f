/**
 * A simulated step that hears of its cancel by a transferred `AbortSignal`. Plain JavaScript for the reason of `step.mjs`. Gives when
 * it stopped, on the clock of `process.hrtime`, which is the same on every thread.
 */
export default async function step({ ms, cpuMs, fails, signal }) {
  if (cpuMs > 0) compute(cpuMs, signal);
  else await sleep(ms, signal);
  return { endedAtMs: nowMs(), failed: fails && !signal.aborted };
}

function sleep(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

function compute(ms, signal) {
  const end = performance.now() + ms;
  // Never true in here: the abort is a message, and no message comes to a loop that does not return to its event loop.
  while (performance.now() < end && !signal.aborted);
}

function nowMs() {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}
