import type { Step } from "./step.ts";

/**
 * The misbehaving step of `POST /chaos/stick-thread`: computes for `amount` milliseconds and ignores everything, so that its thread has to
 * be replaced. `begun` (one shared Int32) counts its starts: canceled earlier, it would never run.
 */
export function stick(begun: SharedArrayBuffer): Step {
  const starts = new Int32Array(begun);
  return {
    async run(input) {
      Atomics.add(starts, 0, 1);
      Atomics.notify(starts, 0);
      const end = performance.now() + input.amount;
      while (performance.now() < end);
    },
  };
}
