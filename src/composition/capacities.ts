import { Capacity } from "../concurrency/capacity.ts";
import type { Config } from "../config.ts";
import { perStep, type StepName, stepSetting } from "../orders/steps.ts";

// Seven levels of urgency then come to less than a fifth of the deadline, which is what admission leaves for being overtaken.
const AGING_SHARE = 1 / 40;

/** How waits for capacity and for threads go. */
export function waitingOf(config: Config) {
  return { agingMs: config.ORDER_TIMEOUT_MS * AGING_SHARE, endsHopelessWaits: true };
}

/** How many steps of each kind this process runs at one time. `onCourierWait`: an order has to wait for a courier, the first that does. */
export function capacitiesOf(config: Config, onCourierWait: () => void): Readonly<Record<StepName, Capacity>> {
  const waiting = waitingOf(config);
  return perStep(
    (step) => new Capacity(config[stepSetting(step, "CAPACITY")], step === "courier" ? { ...waiting, onWait: onCourierWait } : waiting),
  );
}
