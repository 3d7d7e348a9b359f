import type { Config } from "../config.ts";
import { perStep, type StepName, stepSetting } from "../orders/steps.ts";
import { Capacity } from "../threads/index.ts";

// Seven levels of urgency then come to less than a fifth of the deadline. Admission leaves that much for being overtaken.
const AGING_SHARE = 1 / 40;

/** The options of every wait for a capacity or for a thread of the exclusive pool. */
export function waitingOf(config: Config) {
  return { agingMs: config.ORDER_TIMEOUT_MS * AGING_SHARE, endsHopelessWaits: true };
}

/** How many steps of each kind this process runs at one time. `courier`: where the nodes of a cluster share the couriers. */
export function capacitiesOf(config: Config, courier?: Capacity): Readonly<Record<StepName, Capacity>> {
  const waiting = waitingOf(config);
  const own = (step: StepName) => new Capacity(config[stepSetting(step, "CAPACITY")], waiting);
  return perStep((step) => (step === "courier" ? (courier ?? own(step)) : own(step)));
}
